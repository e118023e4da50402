//! `POST /reload` on the control socket: loads the configuration anew and says how it went.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::Control;

/// How a reload went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The new configuration is in force.
    Loaded {
        /// What was read, by its absolute path.
        file: PathBuf,
        /// What the operator should know, such as settings that wait for a restart.
        warnings: Vec<String>,
    },
    /// The old one stays in force.
    Refused {
        /// Every problem with its place, rendered for people.
        problems: String,
    },
}

pub(super) async fn reload(State(control): State<Arc<Control>>) -> Response {
    // A task of its own: whoever asked may go away, the reload is done whole all the same.
    match tokio::spawn((control.reload)()).await {
        Ok(ReloadOutcome::Loaded { file, warnings }) => {
            let body = json!({ "reloaded": true, "file": file.to_string_lossy(), "warnings": warnings });
            Json(body).into_response()
        }
        Ok(ReloadOutcome::Refused { problems }) => refused(&problems),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a reload broke off");
            refused("The reload broke off; the log says more.")
        }
    }
}

fn refused(problems: &str) -> Response {
    let body = json!({ "reloaded": false, "problems": problems });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}
