//! A configuration compiled into what the data plane runs on. Shared by all workers, replaced whole by a reload.

use std::sync::Arc;

use http::Method;

use super::upstream::fleet::Fleet;
use crate::auth::refusal::Refusal;
use crate::config::{Config, Route, WebsocketCredential};
use crate::decision::Decision;
use crate::message::Limits as MessageLimits;
use crate::message::fields::FieldRules;
use crate::message::target::Path;
use crate::server::conn::Limits as ConnectionLimits;
use crate::server::tls::Connector;
use crate::web::client_address::TrustedProxies;
use crate::web::cors::Cors;
use crate::web::problem::Problems;
use crate::web::request_id::RequestId;

/// What requests are handled by.
#[derive(Debug)]
pub struct Plan {
    /// The configuration as checked.
    pub config: Config,
    /// What is known of the upstreams' servers.
    pub fleet: Arc<Fleet>,
    /// Routes and credentials.
    pub decision: Decision,
    /// What becomes of each field of a request.
    pub fields: FieldRules,
    /// How refusals look.
    pub problems: Problems,
    /// Limits of size.
    pub message: MessageLimits,
    /// Limits of time.
    pub connection: ConnectionLimits,
    /// Peers whose forwarding fields count.
    pub trusted: TrustedProxies,
}

impl Plan {
    /// Compiles a configuration; `connectors` are those of its upstreams.
    #[must_use]
    pub fn compile(config: Config, connectors: Vec<Option<Connector>>) -> Self {
        Self::compile_after(config, connectors, &Fleet::default())
    }

    /// Compiles a configuration that takes the place of one whose servers were `known`.
    #[must_use]
    pub fn compile_after(config: Config, connectors: Vec<Option<Connector>>, known: &Fleet) -> Self {
        let timeouts = &config.timeouts;
        Self {
            fleet: Arc::new(Fleet::new(&config.upstreams, connectors, known)),
            decision: Decision::compile(&config),
            fields: field_rules(&config),
            problems: Problems::new(&config.errors.type_base, &config.errors.realm),
            message: MessageLimits {
                target: config.max.target,
                headers: config.max.headers,
                header_count: config.max.header_count,
            },
            connection: ConnectionLimits {
                first_byte: timeouts.first_byte,
                request_head: timeouts.request_head,
                idle: timeouts.idle,
                response_idle: timeouts.response_body_idle,
            },
            trusted: TrustedProxies::new(&config.trusted_proxies),
            config,
        }
    }

    /// The bytes of an answer to a connection that carries no request that could be answered.
    #[must_use]
    pub fn raw_answer(&self, refusal: &Refusal, request_id: &RequestId) -> Vec<u8> {
        self.problems.raw(refusal, request_id)
    }

    /// The route that answers a preflight that asks about `method`, and what it says; `None` where none has a word on it.
    ///
    /// # Errors
    /// When the path has a reading that the route does not allow.
    pub fn preflight(
        &self,
        host: &str,
        method: &Method,
        path: &Path<'_>,
    ) -> Result<Option<(usize, &Cors)>, Refusal> {
        let route = self.decision.preflight(host, method, path)?;
        Ok(route.and_then(|route| Some((route, self.route(route)?.cors()?))))
    }

    /// A route by index.
    #[must_use]
    pub fn route(&self, index: usize) -> Option<&Route> {
        self.config.routes.get(index)
    }
}

fn field_rules(config: &Config) -> FieldRules {
    let rules = FieldRules::new(config.identity_headers.all(), &config.credentials.headers);
    let by_subprotocol =
        config.routes.iter().any(|route| route.websocket_credential == WebsocketCredential::Subprotocol);
    if by_subprotocol { rules.with_subprotocols() } else { rules }
}
