//! Rules of the checklist set, without bytes.
