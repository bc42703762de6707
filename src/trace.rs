//! A bounded record of what happened.
