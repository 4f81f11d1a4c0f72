//! What whoever starts a relay chooses for one run, on top of `relay.toml`; and the folder made ready for it.

use crate::config::{Config, ConfigError, Listen, PublicHost};
use crate::folder::{Content, Folder, FolderError};

/// Choices for one run. The default chooses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Name or address under which others reach the relay.
    pub host: Option<PublicHost>,
    /// Where to serve; empty for what the configuration says.
    pub listen: Vec<Listen>,
    /// Whether to forward to private and loopback addresses too.
    pub allow_private_peers: bool,
    /// Keys of `relay.toml` to override, `KEY=VALUE`.
    pub overrides: Vec<String>,
}

/// Why there is nothing to start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Choices {
    /// Makes a relay in a folder where there is nothing, and gives the configuration to [`crate::server::start`] it
    /// with. A relay made here keeps the chosen host and listening addresses in its `relay.toml`.
    ///
    /// # Errors
    /// [`PrepareError`]; an error of the overrides comes before anything is made.
    pub fn prepare(self, folder: &Folder) -> Result<Config, PrepareError> {
        let Self { host, listen, allow_private_peers, overrides } = self;
        match folder.content()? {
            Content::Foreign => return Err(FolderError::Foreign.into()),
            Content::Restoring => return Err(FolderError::Restoring.into()),
            Content::Nothing | Content::Unfinished => {
                Config::read("", &overrides)?;
                match folder.init(host.as_ref(), &listen) {
                    // Made by another start at the same moment; the store's lock decides who serves.
                    Ok(()) | Err(FolderError::Exists) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Content::Relay => {}
        }
        let mut config = Config::read(&folder.config_text()?, &overrides)?;
        config.host = host.or(config.host);
        if !listen.is_empty() {
            config.listen = listen;
        }
        config.allow_private_peers |= allow_private_peers;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_kept_where_they_made_the_relay_and_for_one_run_where_they_did_not() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("relay"));
        let host = |name| PublicHost::parse(name);
        let choose = |name| Choices { host: host(name), ..Choices::default() };
        assert_eq!(choose("a.example").prepare(&folder).unwrap().host, host("a.example"));
        assert_eq!(choose("b.example").prepare(&folder).unwrap().host, host("b.example"));
        assert_eq!(Choices::default().prepare(&folder).unwrap().host, host("a.example"));
    }

    #[test]
    fn a_wrong_override_makes_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("relay"));
        let choices = Choices { overrides: vec!["nonsense=1".to_owned()], ..Choices::default() };
        assert!(matches!(choices.prepare(&folder).unwrap_err(), PrepareError::Config(_)));
        assert_eq!(folder.content().unwrap(), Content::Nothing);
    }
}
