//! Fields by which a client might be taken for somebody else: under every name of ours and of the forwarding family, in
//! every disguise, on every kind of route and by every way to come, as a capturing upstream sees them.

use super::fields::{ALWAYS, IDENTITY, SPOOFED};
use super::ground::{Came, Comer, Ground, KINDS, Kind, Served, Verdicts, Way};
use crate::support::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, fields, frame};

/// One disguise of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    name: String,
    head: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
}

impl Row {
    fn case(&self) -> String {
        format!("{:?} and trailers {:?}", self.head, self.trailers)
    }

    /// HTTP/2 writes names in lower case, knows no `Connection`, and no space around a value.
    fn is_of_http2(&self) -> bool {
        self.head.iter().chain(&self.trailers).all(|(name, value)| {
            *name == name.to_ascii_lowercase() && name != "connection" && value.trim() == value
        })
    }

    /// Whether it is, in no disguise, what a trusted proxy may say.
    fn may_be_said_by_a_proxy(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        let disguised = |(name, _): &(String, String)| name.contains(['_', '.']);
        !name.starts_with("x-auth-") && !self.head.iter().all(disguised)
    }
}

const EVIL: &str = "evil";

fn disguises(name: &str) -> Vec<Row> {
    let (lower, upper) = (name.to_ascii_lowercase(), name.to_ascii_uppercase());
    let (low, dots) = (lower.replace('-', "_"), lower.replace('-', "."));
    let last = lower.rsplit_once('-').map_or_else(|| lower.clone(), |(head, tail)| format!("{head}.{tail}"));
    let head = |list: &[(&str, &str)]| {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let row = |list: &[(&str, &str)], trailers: &[(&str, &str)]| Row {
        name: name.to_owned(),
        head: head(list),
        trailers: head(trailers),
    };
    let rows = vec![
        row(&[(name, EVIL)], &[]),
        row(&[(&lower, EVIL)], &[]),
        row(&[(&upper, EVIL)], &[]),
        row(&[(&low, EVIL)], &[]),
        row(&[(&dots, EVIL)], &[]),
        row(&[(&upper.replacen('-', "_", 1), EVIL)], &[]),
        row(&[(&last, EVIL)], &[]),
        row(&[(&lower, EVIL), (&lower, EVIL)], &[]),
        row(&[(&low, EVIL), (&lower, EVIL), (&dots, EVIL)], &[]),
        row(&[("connection", &lower), (name, EVIL)], &[]),
        row(&[("connection", &format!("close, {low}")), (&low, EVIL)], &[]),
        row(&[(&lower, "")], &[]),
        row(&[(&low, "")], &[]),
        row(&[(name, " \t evil\t ")], &[]),
        row(&[(name, "  ")], &[]),
        row(&[], &[(&lower, EVIL)]),
        row(&[], &[(&low, EVIL), (&dots, EVIL)]),
        row(&[("trailer", &lower), (&lower, EVIL)], &[(&lower, EVIL), (&lower, "")]),
    ];
    let mut distinct: Vec<Row> = Vec::new();
    for row in rows {
        if !distinct.contains(&row) {
            distinct.push(row);
        }
    }
    distinct
}

/// All of them.
pub fn rows() -> Vec<Row> {
    SPOOFED.iter().chain(&["Forwarded", "X-Forwarded"]).flat_map(|name| disguises(name)).collect()
}

/// Where a request goes, and who its upstream may take it to be from.
#[derive(Clone, Copy)]
struct Place {
    kind: &'static Kind,
    target: &'static str,
    key: bool,
}

fn places(kinds: &'static [Kind]) -> Vec<Place> {
    let protected = kinds.iter().map(|kind| {
        let target = if kind.place() == "admin" { "/admin" } else { "/any/admin" };
        Place { kind, target, key: true }
    });
    let open = [("/optional", false), ("/optional", true), ("/open", false)];
    let around = open.map(|(target, key)| Place { kind: &kinds[0], target, key });
    protected.chain(around).collect()
}

impl Place {
    fn forwards(&self) -> bool {
        self.kind.served == Served::Upstream || !self.target.ends_with("admin")
    }

    /// Names that the upstream receives.
    fn names(&self, identity: &[&str], chunked: bool) -> Vec<String> {
        let mut names: Vec<&str> = ALWAYS.to_vec();
        if self.key {
            names.extend(identity);
        }
        if self.target.ends_with("admin") {
            names.extend(match self.kind.name {
                "forwarding" => Some("authorization"),
                "fields" => Some("x-tenant"),
                "assertion" => Some("x-auth-assertion"),
                _ => None,
            });
        }
        if chunked {
            names.push("transfer-encoding");
        }
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}

/// Whether what proxies say of their clients is taken from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Stranger,
    Proxy,
}

struct Attacker<'g> {
    verdicts: Verdicts,
    ground: &'g Ground,
    comer: Comer<'g>,
    identity: [&'g str; 4],
    peer: Peer,
}

impl<'g> Attacker<'g> {
    fn new(ground: &'g Ground, way: Way, identity: [&'g str; 4], peer: Peer) -> Self {
        Self { verdicts: Verdicts::default(), ground, comer: Comer::new(ground, way), identity, peer }
    }

    async fn try_row(&mut self, place: Place, row: &Row) {
        let case = format!(
            "{} {} {:?} {:?}: {}",
            place.kind.name,
            place.target,
            self.comer.way,
            self.peer,
            row.case()
        );
        let came = match self.comer.way {
            Way::Http1 | Way::Announced => self.comer.send(&self.http1(place, row)).await,
            Way::Http2 => {
                let (head, trailers) = self.http2(place, row);
                self.comer.exchange(|stream| frames(stream, &head, &trailers)).await
            }
        };
        let account = self.ground.gateway.account().await;
        let mut verdicts = std::mem::take(&mut self.verdicts);
        verdicts.judge(|| self.judge(place, row, &case, &came, account));
        self.verdicts = verdicts;
    }

    fn judge(&self, place: Place, row: &Row, case: &str, came: &Came, account: &str) {
        if !place.forwards() {
            let want = if place.kind.name == "redirect" { "307" } else { "200" };
            assert_eq!((came.verdict.as_str(), came.received.len()), (want, 0), "{case}");
            assert!(self.peer == Peer::Proxy || !came.answer.contains(EVIL), "{case}: {came:?}");
            return;
        }
        let request = came.forwarded(case);
        let told = format!("{:?} {:?}", request.headers, request.trailers);
        let proxied = self.peer == Peer::Proxy && row.may_be_said_by_a_proxy();
        if !proxied {
            let chunked = !row.trailers.is_empty();
            assert_eq!(request.names(), place.names(&self.identity, chunked), "{case}");
            assert!(!told.contains(EVIL), "{case}: {told}");
            assert_eq!(request.header("x-forwarded-for"), Some(self.comer.client()), "{case}");
            assert_eq!(request.header("x-forwarded-proto"), Some("http"), "{case}");
            assert_eq!(request.header("x-forwarded-host"), Some(&*place.kind.host()), "{case}");
            if let Some(id) = &came.request_id {
                assert_eq!(request.header("x-request-id"), Some(id.as_str()), "{case}");
            }
        }
        assert_eq!(request.trailers, [], "{case}");
        let [credential, method, scopes, subject] = self.identity;
        let key = place.key.then_some(&self.ground.key);
        for (name, value) in [
            (credential, key.map(|key| key.id.as_str())),
            (method, key.map(|_| "api_key")),
            (scopes, key.map(|_| "orders:read")),
            (subject, key.map(|_| account)),
        ] {
            assert_eq!(request.header(name), value, "{case}: {name}");
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.ground.key.secret)
    }

    fn http1(&self, place: Place, row: &Row) -> String {
        let mut request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", place.target, place.kind.host());
        if !row.trailers.is_empty() {
            request = request.replacen("GET", "POST", 1) + "Transfer-Encoding: chunked\r\n";
        }
        if place.key {
            request += &format!("Authorization: {}\r\n", self.bearer());
        }
        let line = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
        request += &row.head.iter().map(line).collect::<String>();
        request += "\r\n";
        if !row.trailers.is_empty() {
            let trailers: String = row.trailers.iter().map(line).collect();
            request += &format!("3\r\nabc\r\n0\r\n{trailers}\r\n");
        }
        request
    }

    fn http2(&self, place: Place, row: &Row) -> (Vec<u8>, Vec<u8>) {
        let (host, bearer) = (place.kind.host(), self.bearer());
        let method = if row.trailers.is_empty() { "GET" } else { "POST" };
        let mut list =
            vec![(":method", method), (":scheme", "http"), (":authority", &*host), (":path", place.target)];
        if place.key {
            list.push(("authorization", &*bearer));
        }
        list.extend(row.head.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let trailers: Vec<_> =
            row.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        (fields(&list), fields(&trailers))
    }
}

/// A request without a body, or one with a body and trailers.
fn frames(stream: u32, head: &[u8], trailers: &[u8]) -> Vec<u8> {
    if trailers.is_empty() {
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, head);
    }
    [
        frame(HEADERS, END_HEADERS, stream, head),
        frame(DATA, 0, stream, b"abc"),
        frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers),
    ]
    .concat()
}

async fn every_row(ground: &Ground, way: Way, peer: Peer, places: &[Place], identity: [&str; 4]) {
    let rows = rows();
    for place in places {
        let mut attacker = Attacker::new(ground, way, identity, peer);
        for row in rows.iter().filter(|row| way != Way::Http2 || row.is_of_http2()) {
            attacker.try_row(*place, row).await;
        }
    }
}

#[tokio::test]
async fn no_copy_of_a_client_reaches_the_upstream_of_any_kind_of_route() {
    let ground = Ground::with(|builder| builder).await;
    every_row(&ground, Way::Http1, Peer::Stranger, &places(KINDS), IDENTITY).await;
}

#[tokio::test]
async fn no_copy_of_a_client_reaches_the_upstream_over_http2() {
    let ground = Ground::with(|builder| builder).await;
    every_row(&ground, Way::Http2, Peer::Stranger, &places(KINDS), IDENTITY).await;
}

#[tokio::test]
async fn no_copy_of_a_client_comes_through_a_balancer() {
    let ground = Ground::with(|builder| builder).await;
    every_row(&ground, Way::Announced, Peer::Stranger, &places(&KINDS[..4]), IDENTITY).await;
}

#[tokio::test]
async fn a_trusted_proxy_says_who_its_client_is_and_never_who_the_principal_is() {
    for way in [Way::Http1, Way::Announced, Way::Http2] {
        let trusted = "trusted_proxies: [127.0.0.0/8, 192.0.2.0/24]";
        let ground = Ground::with(|builder| builder.yaml(trusted)).await;
        every_row(&ground, way, Peer::Proxy, &places(&KINDS[..4]), IDENTITY).await;
    }
}

#[tokio::test]
async fn renamed_fields_are_guarded_as_well_and_the_old_names_are_nobodys() {
    let names = "identity_headers: { subject: Remote-User, credential: X-Key.Id, client: X-App, scopes: X_Scopes, method: X-How }";
    let ground = Ground::with(|builder| builder.yaml(names)).await;
    let identity = ["x-key.id", "x-how", "x_scopes", "remote-user"];
    let places = places(&KINDS[..2]);
    every_row(&ground, Way::Http1, Peer::Stranger, &places, identity).await;
    for way in [Way::Http1, Way::Http2] {
        for place in &places {
            let mut attacker = Attacker::new(&ground, way, identity, Peer::Stranger);
            let renamed = ["Remote-User", "X-Key-Id", "X-App", "X-Scopes", "X-How"];
            for row in renamed.iter().flat_map(|name| disguises(name)) {
                if way != Way::Http2 || row.is_of_http2() {
                    attacker.try_row(*place, &row).await;
                }
            }
        }
    }
}
