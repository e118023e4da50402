//! SQLite behind the port.
