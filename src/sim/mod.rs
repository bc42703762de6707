//! A simulator of networks and NATs (RFC 4787) on a virtual clock.
