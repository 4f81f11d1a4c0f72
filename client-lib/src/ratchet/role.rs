//! Which side of the invitation this is. It decides who sends on which chain, nothing else.

/// Inviter or joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Inviter,
    Joiner,
}
