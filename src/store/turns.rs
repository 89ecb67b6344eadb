//! Taking turns: of what waits in lanes, each lane's first before any lane's second.
//!
//! Knows places in lanes, nothing of shops, senders and destinations. The SQL stores say the same in
//! their statements where the lanes are long.

use std::collections::BTreeMap;

/// Entries of an index that one look at what waits reads, unless more lanes than that are waiting: of
/// many lanes each is looked into less deep.
pub(super) const LOOK_ROWS_MAX: u32 = 4_096;

/// At most `limit` of what waits and no more of a lane than its room, in the order of the places.
pub(super) fn take<L: Ord, P: Ord>(
    waiting: impl IntoIterator<Item = (P, L)>,
    room: impl Fn(&L) -> u32,
    limit: usize,
) -> Vec<P> {
    let mut waiting: Vec<(P, L)> = waiting.into_iter().collect();
    waiting.sort();
    let mut lanes: BTreeMap<L, u32> = BTreeMap::new();
    let mut turns = Vec::with_capacity(waiting.len());
    for (place, lane) in waiting {
        let room = room(&lane);
        let turn = lanes.entry(lane).or_insert(0);
        if *turn < room {
            *turn = turn.saturating_add(1);
            turns.push((*turn, place));
        }
    }
    turns.sort();
    turns.truncate(limit);
    let mut taken: Vec<P> = turns.into_iter().map(|(_, place)| place).collect();
    taken.sort();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_gets_its_turn_before_any_gets_a_second() {
        let waiting = [(1, 'a'), (2, 'a'), (3, 'a'), (4, 'a'), (5, 'b'), (6, 'c')];
        let taken = |limit| take(waiting, |_| u32::MAX, limit);
        assert!(taken(0).is_empty());
        assert_eq!(taken(2), [1, 5]);
        assert_eq!(taken(3), [1, 5, 6]);
        assert_eq!(taken(4), [1, 2, 5, 6]);
        assert_eq!(taken(9), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_lane_gets_no_more_than_its_room() {
        let waiting = [(4, 'a'), (2, 'a'), (3, 'b'), (1, 'c')];
        let room = |lane: &char| match lane {
            'a' => 1,
            'b' => 2,
            _ => 0,
        };
        assert_eq!(take(waiting, room, 9), [2, 3]);
    }
}
