//! What a route does with the requests it serves: limits of its own, and where they go.

mod cors;
mod errors;
mod fields;
mod here;
mod rewrite;
mod times;
