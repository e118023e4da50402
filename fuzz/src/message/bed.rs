//! What requests are forwarded by: a configuration that refuses no path, and an endpoint that is never called.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use keyward::auth::random::System;
use keyward::auth::refusal::Refusal;
use keyward::clock::{Clock, Timestamp};
use keyward::config;
use keyward::message::Admission;
use keyward::proxy::forward::Forward;
use keyward::proxy::plan::Plan;
use keyward::proxy::upstream::{Endpoint, WriteHead as _};
use keyward::server::deadline::Deadlines;
use keyward::web::client_address::Trust;
use keyward::web::forwarded::{Arrival, Scheme};
use keyward::web::request_id::{RequestId, RequestIds};

/// The client's address as upstreams are told it.
pub const PEER: &str = "192.0.2.7";
/// Names that only this configuration keeps back.
pub const CONFIGURED: [&str; 6] = ["x-api-key", "x-user", "x-key", "x-app", "x-may", "x-how"];

const CONFIG: &str = "
upstreams: [{ name: u, endpoints: [{ url: 'http://127.0.0.1:9' }] }]
routes:
  - name: r
    match: { path_prefix: / }
    auth: public
    upstream: u
credentials: { basic: true, headers: [X-Api-Key] }
identity_headers: { subject: X-User, credential: X-Key, client: X-App, scopes: X-May, method: X-How }
";

/// See above.
pub struct Bed {
    pub plan: Arc<Plan>,
    pub deadlines: Rc<Deadlines>,
    endpoint: Endpoint,
    request_id: RequestId,
}

thread_local! {
    static BED: Bed = Bed::new();
}

impl Bed {
    /// Works with the one of this thread.
    pub fn with<T>(work: impl FnOnce(&Self) -> T) -> T {
        BED.with(work)
    }

    fn new() -> Self {
        let loaded = config::parse(CONFIG, "fuzz.yaml", Path::new(""), &|_| None).expect("it is valid");
        let deadlines = Deadlines::new(Clock::manual(Timestamp(0)));
        let place = loaded.config.upstreams[0].endpoints[0].clone();
        let ids = RequestIds::new(&System::default()).expect("there is randomness");
        Self {
            plan: Arc::new(Plan::compile(loaded.config, Vec::new())),
            endpoint: Endpoint::new(place, None, Rc::clone(&deadlines)),
            deadlines,
            request_id: ids.make(Timestamp(0)),
        }
    }

    /// What an upstream would receive before the body.
    pub fn forwarded(
        &self,
        parts: &Parts,
        admission: &Admission<'_>,
        trust: Trust,
    ) -> Result<Vec<u8>, Refusal> {
        let arrival = Arrival {
            peer: PEER.as_bytes(),
            trust,
            scheme: Scheme::Http,
            port: b"8080",
            host: admission.host.sent(),
        };
        let forward = Forward::new(
            &self.plan,
            self.plan.route(0).ok_or(Refusal::NoRoute)?,
            parts,
            admission,
            None,
            arrival,
            &self.request_id,
        );
        let mut bytes = Vec::new();
        (&forward).http1(&mut bytes, &self.endpoint);
        Ok(bytes)
    }
}
