//! Keyward from outside, in one binary.

mod config;
