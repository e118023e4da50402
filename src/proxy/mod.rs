//! The data plane: a request is accepted, judged, forwarded and answered on one worker, with no hand-off and no shared
//! lock. [`gateway`] is the pipeline on one screen.

mod assertions;
pub mod body;
mod certificate;
pub mod expiry;
mod extras;
pub mod forward;
pub mod gateway;
pub mod here;
pub mod identity;
pub mod plan;
pub mod request_body;
pub mod state;
pub mod ticket;
pub mod tunnel;
mod unheeded;
pub mod unread;
pub mod upgrade;
pub mod upstream;
pub mod watch;
pub mod worker;
