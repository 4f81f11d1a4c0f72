//! The router's face: sessions are opened, given commands and closed here.

use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::VerifiedInfo;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Role, command};
use rand_core::CryptoRng;

use super::{
    CommandId, LinkFailure, LinkId, RouteAction, RouteError, RouteEvent, RoutePlan, SessionId,
};

/// All links and sessions of a client.
#[derive(Debug, Default)]
pub(crate) struct Router {}

impl Router {
    /// A router without links.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn remember_info(
        &mut self,
        _fingerprint: Fingerprint,
        _newest_signed_at: UnixMillis,
    ) {
    }

    pub(crate) fn open(
        &mut self,
        _now: UnixMillis,
        _rng: &mut (impl CryptoRng + ?Sized),
        _plan: RoutePlan,
    ) -> SessionId {
        SessionId(0)
    }

    pub(crate) fn command(
        &mut self,
        _session: SessionId,
        _command: command::Command,
        _blob: Option<Blob>,
        _key: Option<(Role, [u8; 32], Arc<ObjectSecretKey>)>,
    ) -> Result<CommandId, RouteError> {
        Err(RouteError::NoSession)
    }

    /// Seals and hands out what `command` queued, as far as it may go. `handle_timeout` does the same, and
    /// `poll_timeout` is in the past while something waits for it.
    pub(crate) fn flush(&mut self, _now: UnixMillis, _rng: &mut (impl CryptoRng + ?Sized)) {}

    pub(crate) fn info(&self, _session: SessionId) -> Option<&VerifiedInfo> {
        None
    }

    pub(crate) fn queued(&self, _session: SessionId) -> usize {
        0
    }

    pub(crate) fn close(
        &mut self,
        _now: UnixMillis,
        _rng: &mut (impl CryptoRng + ?Sized),
        _session: SessionId,
    ) {
    }

    pub(crate) fn drop_links(&mut self) {}

    pub(crate) fn handle_connected(
        &mut self,
        _now: UnixMillis,
        _rng: &mut (impl CryptoRng + ?Sized),
        _link: LinkId,
    ) {
    }

    pub(crate) fn handle_disconnected(
        &mut self,
        _now: UnixMillis,
        _link: LinkId,
        _why: LinkFailure,
    ) {
    }

    pub(crate) fn handle_cell(
        &mut self,
        _now: UnixMillis,
        _rng: &mut (impl CryptoRng + ?Sized),
        _link: LinkId,
        _cell: Cell,
    ) {
    }

    pub(crate) fn handle_timeout(
        &mut self,
        _now: UnixMillis,
        _rng: &mut (impl CryptoRng + ?Sized),
    ) {
    }

    pub(crate) fn poll_action(&mut self) -> Option<RouteAction> {
        None
    }

    pub(crate) fn poll_event(&mut self) -> Option<RouteEvent> {
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        None
    }
}
