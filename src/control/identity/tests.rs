use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::poll;
use http::{HeaderMap, Version};
use tokio::sync::Semaphore;

use super::*;
use crate::auth::random::System;
use crate::issuer::signing::NotMinted;
use crate::web::errand::desk;
use crate::web::request_id::RequestIds;

fn call() -> Call {
    Call {
        method: Method::GET,
        path: "/user/api-keys".to_owned(),
        query: None,
        version: Version::HTTP_11,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        client: IpAddr::from([127, 0, 0, 1]),
        request_id: RequestIds::new(&System::default()).unwrap().make(Timestamp(0)),
        caller: Ok(None),
    }
}

#[tokio::test]
async fn so_much_is_at_work_and_the_rest_waits_though_its_clients_leave() {
    let (desk, errands) = desk();
    let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let answer = |_| {
        begun.fetch_add(1, Ordering::Relaxed);
        let gate = Arc::clone(&gate);
        async move {
            drop(gate.acquire_owned().await);
            Reply { response: Response::new(Bytes::new()), code: None, caller: None }
        }
    };
    let stop = CancellationToken::new();
    // As far as it comes in one poll.
    let mut working = std::pin::pin!(tokio::task::unconstrained(work(errands, answer, stop.clone())));
    for _ in 0..AT_WORK + 1 {
        // Who asked is gone at once.
        assert!(poll!(std::pin::pin!(desk.ask(call()))).is_pending());
    }
    assert!(poll!(&mut working).is_pending());
    assert_eq!(begun.load(Ordering::Relaxed), AT_WORK);
    // One place that is free is the next one's, and all that is taken is finished.
    let mut last = std::pin::pin!(desk.ask(call()));
    assert!(poll!(&mut last).is_pending());
    gate.add_permits(AT_WORK + 2);
    tokio::select! {
        () = &mut working => panic!("it was not told to end"),
        reply = &mut last => assert!(reply.is_ok()),
    }
    assert_eq!(begun.load(Ordering::Relaxed), AT_WORK + 2);
    stop.cancel();
    working.await;
}

#[test]
fn a_session_that_is_over_is_told_to_be_and_a_missing_key_passes() {
    assert!(matches!(login::not_minted(&NotMinted::Over), Refusal::InvalidGrant));
    assert!(matches!(login::not_minted(&NotMinted::NoKey), Refusal::NotNow));
}
