//! The searches find what a relay leaks that is built to: where clients are (in its log and in its memory once links are
//! closed), and when a client put something (in its store).

use std::collections::BTreeSet;

use hearken_tests::leaks::Search;

use crate::relay_files::moments;
use crate::scenario::{Scenario, run};

#[test]
fn a_planted_relay_that_keeps_addresses_and_times_is_found_out() {
    let scenario = run(Some("relay-leaks"));
    for left in [&scenario.relay, &scenario.entry] {
        let addresses = Scenario::addresses(left);
        let logged = Search::new(&addresses).things_in(&left.said);
        assert_eq!(logged, addresses.things(), "the log names every client's address");
        if let Some(image) = &left.once_closed {
            let kept: BTreeSet<_> =
                Search::new(&addresses).things_in(&image.0).into_iter().collect();
            assert!(!kept.is_empty(), "the QUIC library keeps addresses that it is told");
        }
    }
    let moments = moments(&scenario, &scenario.relay);
    let stored = moments.iter().filter(|(_, hit)| hit.place.ends_with(".jnl")).count();
    assert!(stored > 5, "each Put kept its time");
}
