//! What a route does with the requests it serves: limits of its own, and where they go.

mod conditions;
mod cors;
mod errors;
mod fields;
mod here;
mod real_paths;
mod retries;
mod rewrite;
mod times;
