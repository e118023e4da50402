//! Values that hardly come twice.

use http::HeaderValue;

/// Keeps a value out of the table of fields of HTTP/2 (RFC 7541 §6.2.3), where it would push out one that comes again, and
/// cost both sides more than it saves.
pub(super) fn transient(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
