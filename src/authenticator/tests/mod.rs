//! What validation promises, each against a store that does what the test says.

mod bed;
mod changes;
mod counting;
mod flight;
mod forms;
mod lifetimes;
mod limits;
mod marks;
mod outage;
mod race;
mod roll;
mod store;
mod tokens;
mod uses;
