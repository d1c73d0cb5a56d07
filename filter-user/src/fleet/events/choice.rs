//! Which samples are published where there are more than may be.

use std::collections::{BTreeMap, VecDeque};

use crate::telemetry::Event;

/// Keeps at most so many; says how many were left out. Reasons take turns, so that a flood hides nothing else.
pub(super) fn choose(events: &mut Vec<Event>, most: usize) -> u64 {
    let left_out = events.len().saturating_sub(most);
    if left_out == 0 {
        return 0;
    }
    let mut by_reason: BTreeMap<&str, VecDeque<Event>> = BTreeMap::new();
    for event in events.drain(..) {
        by_reason.entry(event.reason.name()).or_default().push_back(event);
    }
    while events.len() < most {
        events.extend(by_reason.values_mut().filter_map(VecDeque::pop_front));
    }
    events.truncate(most);
    events.sort_by_key(|event| event.time);
    u64::try_from(left_out).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use filter_common::Reason;

    use super::*;
    use crate::telemetry::{Fate, Headers};

    fn event(second: u64, reason: Reason) -> Event {
        Event {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            interface: "eth0".to_owned(),
            action: Fate::Drop,
            reason,
            weight: 1,
            length_bytes: 60,
            headers: Headers::of(&[]),
            octets: Vec::new(),
        }
    }

    #[test]
    fn a_flood_of_one_reason_hides_no_other() {
        let mut events: Vec<_> = (0..100).map(|second| event(second, Reason::SourceUnlisted)).collect();
        events.push(event(50, Reason::PortClosed));
        assert_eq!(choose(&mut events, 10), 91);
        assert_eq!(events.iter().filter(|event| event.reason == Reason::PortClosed).count(), 1);
        assert!(events.len() == 10 && events.is_sorted_by_key(|event| event.time));
        assert_eq!((choose(&mut events, 10), events.len()), (0, 10));
        assert_eq!((choose(&mut events, 0), events.len()), (10, 0));
    }
}
