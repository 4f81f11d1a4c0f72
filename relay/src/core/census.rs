//! Counts sessions of one class by link, so that a flood on one link is answered at that link.

use std::collections::{BTreeMap, BTreeSet};

use super::action::LinkId;
use super::links::RouteKey;

/// Sessions of a class. Route ids rise on a link, so the lowest is the oldest.
#[derive(Default)]
pub(super) struct Census {
    by_link: BTreeMap<LinkId, BTreeSet<u64>>,
    by_size: BTreeSet<(usize, LinkId)>,
    len: usize,
}

impl Census {
    pub(super) fn insert(&mut self, key: RouteKey) {
        let routes = self.by_link.entry(key.link).or_default();
        let before = routes.len();
        if routes.insert(key.route) {
            self.by_size.remove(&(before, key.link));
            self.by_size.insert((before + 1, key.link));
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, key: RouteKey) {
        let Some(routes) = self.by_link.get_mut(&key.link) else { return };
        let before = routes.len();
        if !routes.remove(&key.route) {
            return;
        }
        self.len -= 1;
        self.by_size.remove(&(before, key.link));
        if routes.is_empty() {
            self.by_link.remove(&key.link);
        } else {
            self.by_size.insert((before - 1, key.link));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn len_of(&self, link: LinkId) -> usize {
        self.by_link.get(&link).map_or(0, BTreeSet::len)
    }

    /// The oldest session of a link.
    pub(super) fn oldest_of(&self, link: LinkId) -> Option<RouteKey> {
        let route = *self.by_link.get(&link)?.first()?;
        Some(RouteKey { link, route })
    }

    /// The oldest session of the link that has most of them.
    pub(super) fn oldest_of_largest(&self) -> Option<RouteKey> {
        self.by_size.last().and_then(|(_, link)| self.oldest_of(*link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(link: u64, route: u64) -> RouteKey {
        RouteKey { link: LinkId(link), route }
    }

    #[test]
    fn the_oldest_of_the_largest_link_is_found_as_sessions_come_and_go() {
        let mut census = Census::default();
        assert_eq!(census.oldest_of_largest(), None);
        for (link, route) in [(1, 5), (2, 1), (2, 2), (2, 9), (3, 1)] {
            census.insert(key(link, route));
            census.insert(key(link, route));
        }
        assert_eq!((census.len(), census.len_of(LinkId(2))), (5, 3));
        assert_eq!(census.oldest_of_largest(), Some(key(2, 1)));
        census.remove(key(2, 1));
        census.remove(key(2, 1));
        census.remove(key(2, 2));
        census.insert(key(1, 6));
        assert_eq!(census.oldest_of_largest(), Some(key(1, 5)));
        assert_eq!((census.len(), census.len_of(LinkId(2))), (4, 1));
    }
}
