//! The relay that `up` runs beside the vault, in this process, in the folder `relay` of the home.
//!
//! It is the same relay that `hearken-relay` serves, with the same folder and configuration; what is given to `up`
//! when the folder is made stands in its `relay.toml` from then on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hearken_relay::choices::{Choices, PrepareError};
use hearken_relay::config::{Config, Listen, PublicHost};
use hearken_relay::folder::{self, Folder, FolderError};
use hearken_relay::server::{self, Running, StartError};
use hearken_relay::store::StoreError;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::session::{HostPort, RelayAddress};

/// The folder of the relay in the home.
const FOLDER: &str = "relay";

/// A relay that serves. Dropping it ends it.
pub(crate) struct Beside {
    running: Running,
}

impl Beside {
    /// Serves, making the folder where there is none. `listen` and `host` override the configuration.
    pub(crate) async fn start(
        context: &Context,
        listen: &[SocketAddr],
        host: Option<&str>,
    ) -> Result<Self, Failure> {
        let host = match host.map(|text| PublicHost::parse(text).ok_or(text)) {
            None => None,
            Some(Ok(host)) => Some(host),
            Some(Err(_)) => {
                let argument = [("argument", "--host".into())];
                let detail = context.output.language().text_with("usage-bad-value", &argument);
                return Err(Failure::new(Code::Usage).with("detail", detail));
            }
        };
        let folder = Folder::new(context.home.join(FOLDER));
        let required = |address: &SocketAddr| Listen { address: *address, optional: false };
        let listen = listen.iter().map(required).collect();
        let config = Choices { host, listen, ..Choices::default() }.prepare(&folder)?;
        let running = match steady(&folder, &config)? {
            // The port of last time may be taken; then any free one is what was asked for.
            Some(steady) => match server::start(&folder, steady).await {
                Err(StartError::Listen { .. }) => server::start(&folder, config).await?,
                started => started?,
            },
            None => server::start(&folder, config).await?,
        };
        Ok(Self { running })
    }

    /// The address to hand out.
    pub(crate) fn address(&self) -> &RelayAddress {
        self.running.address()
    }

    /// Where this process reaches it: its public name may lead to a router that does not lead back.
    pub(crate) fn place(&self) -> HostPort {
        let listens = self.running.listen()[0];
        let ip = match listens.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        HostPort::of_ip(ip, listens.port())
    }

    /// Whether nobody outside this machine or its network can reach it.
    pub(crate) fn is_private(&self) -> bool {
        server::is_local(self.running.address())
    }

    /// Waits for it to end by itself, which is a failure.
    pub(crate) async fn ended(&mut self) -> Failure {
        let _ = self.running.ended().await;
        Code::RelayFailed.into()
    }

    /// Lets it finish what it owes.
    pub(crate) async fn stop(self) {
        // When a part of it had failed, that was told when it did.
        let _ = self.running.stop().await;
    }
}

/// With the port of last time in place of “any free one”, so that whoever has the address finds the relay again.
fn steady(folder: &Folder, config: &Config) -> Result<Option<Config>, Failure> {
    let last = folder.address(folder::fingerprint(&folder.identity()?));
    let (Some(last), [listen]) = (last, &config.listen[..]) else { return Ok(None) };
    let port = last.places().first().map_or(0, |place| place.port());
    if listen.address.port() != 0 || port == 0 {
        return Ok(None);
    }
    let mut steady = config.clone();
    for listen in &mut steady.listen {
        listen.address.set_port(port);
    }
    Ok(Some(steady))
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Folder(error) => error.into(),
            _ => Code::RelayConfiguration.into(),
        }
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Key(error) => error.into(),
            FolderError::Io { .. } => Code::Storage.into(),
            _ => Code::RelayFolder.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Locked { .. } => Code::RelayInUse.into(),
            StoreError::Full => Code::DiskFull.into(),
            StoreError::Io { .. } => Code::Storage.into(),
            _ => Code::RelayFolder.into(),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Folder(error) => error.into(),
            StartError::Store(error) => error.into(),
            StartError::Listen { address, .. } => {
                Self::new(Code::ListenRefused).with("address", address.to_string())
            }
            StartError::Admin(_) => Code::Storage.into(),
            _ => Code::RelayFailed.into(),
        }
    }
}
