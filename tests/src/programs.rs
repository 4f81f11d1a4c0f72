//! The real programs as processes: built once, started in folders of their own, killed without mercy.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The passphrase of every vault of a test.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// Where a test keeps waiting for something that should come at once before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The folder that holds the programs, which are brought up to date once a test process. `HEARKEN_PROGRAMS` names one of
/// programs made before, such as those of a release, which are taken as they are: so that a proof of hours runs with the
/// same ones from its beginning to its end.
///
/// # Errors
/// When they do not build.
pub fn folder() -> Result<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER
        .get_or_init(|| build().map_err(|error| format!("{error:#}")))
        .as_deref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("HEARKEN_PROGRAMS") {
        return Ok(folder.into());
    }
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .find(|folder| folder.join(".fingerprint").is_dir())
        .context("a test runs from a cargo target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "hearken", "--package", "hearken-relay", "--bins"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    if !command.status()?.success() {
        bail!("the programs do not build");
    }
    // A build with planted faults leaves its programs in a folder of its own: see tests/planted/run.
    if cfg!(hearken_planted) {
        let (target, name) =
            profile.parent().zip(profile.file_name()).context("a profile's folder")?;
        return Ok(target.join("planted").join(name));
    }
    Ok(profile.to_owned())
}

/// What a program that has ended said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; `None` when it was killed.
    pub status: Option<i32>,
    /// Its standard output, a JSON object a line.
    pub lines: Vec<Value>,
    /// Its standard error.
    pub errors: String,
}

impl Ended {
    /// The `error` of the last line on standard error.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        let last = self.errors.lines().last()?;
        let line: Value = serde_json::from_str(last).ok()?;
        Some(line.get("error")?.as_str()?.to_owned())
    }

    /// The one line of a program that succeeded.
    ///
    /// # Errors
    /// When it failed or printed something else.
    pub fn line(&self) -> Result<&Value> {
        match (self.status, &self.lines[..]) {
            (Some(0), [line]) => Ok(line),
            _ => bail!("status {:?}, {} lines, {}", self.status, self.lines.len(), self.errors),
        }
    }
}

/// A relay as a process.
#[derive(Debug)]
pub struct Relay {
    folder: PathBuf,
    child: Option<Child>,
    listen: String,
    address: String,
    more: Vec<String>,
    environment: Vec<(String, OsString)>,
}

impl Relay {
    /// Starts a relay over `folder` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[], &[])
    }

    /// As [`Relay::start`]; `more` stands in its command, `environment` is added to its own.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_with(
        folder: &Path,
        more: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Result<Self> {
        Self::start_at(folder, "127.0.0.1:0", more, environment)
    }

    /// As [`Relay::start_with`], on an address of its own.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_at(
        folder: &Path,
        listen: &str,
        more: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Result<Self> {
        let mut relay = Self {
            folder: folder.to_owned(),
            child: None,
            listen: listen.to_owned(),
            address: String::new(),
            more: more.iter().map(|word| (*word).to_owned()).collect(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        relay.restart()?;
        Ok(relay)
    }

    /// Starts it again, on the port that it had. Another socket of this machine may have been given that meanwhile: then
    /// it is waited for.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let begun = Instant::now();
        loop {
            match self.try_restart() {
                Err(_) if self.port_is_taken() && begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                done => return done,
            }
        }
    }

    fn port_is_taken(&self) -> bool {
        let bound = std::net::UdpSocket::bind(&self.listen);
        bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    }

    fn try_restart(&mut self) -> Result<()> {
        self.kill();
        let mut child = Command::new(self::folder()?.join("hearken-relay"))
            .args(["serve", "--json", "--allow-private-peers", "--host", "127.0.0.1", "--data"])
            .arg(&self.folder)
            .args(["--listen", &self.listen])
            .args(&self.more)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let out = child.stdout.take().context("a piped output")?;
        self.child = Some(child);
        let mut first = String::new();
        BufReader::new(out).read_line(&mut first)?;
        let ready: Value = serde_json::from_str(&first).context("the relay's ready line")?;
        self.address = ready["address"].as_str().context("an address")?.to_owned();
        self.listen = ready["listen"][0].as_str().context("where it listens")?.to_owned();
        Ok(())
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address that it serves on.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// When it cannot be told, or did not end well.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let told = Command::new("kill").arg(child.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = child.kill();
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("the relay ended with {status}");
        }
        Ok(())
    }

    /// The id of its process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A person with a home of their own, who uses the command line.
#[derive(Debug)]
pub struct Person {
    home: PathBuf,
    passphrase: PathBuf,
    more: Vec<String>,
    environment: Vec<(String, OsString)>,
}

impl Person {
    /// A home below `folder`, not made yet. `more` stands in every command.
    ///
    /// # Errors
    /// When the passphrase file cannot be written.
    pub fn new(folder: &Path, name: &str, more: &[&str]) -> Result<Self> {
        let passphrase = folder.join(format!("{name}.passphrase"));
        std::fs::write(&passphrase, format!("{PASSPHRASE}\n"))?;
        Ok(Self {
            home: folder.join(name),
            passphrase,
            more: more.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
        })
    }

    /// The passphrase with which commands open the vault from here on.
    ///
    /// # Errors
    /// When the passphrase file cannot be written.
    pub fn set_passphrase(&self, passphrase: &str) -> Result<()> {
        Ok(std::fs::write(&self.passphrase, format!("{passphrase}\n"))?)
    }

    /// Adds to the environment of every command.
    pub fn set_environment(&mut self, environment: &[(&str, OsString)]) {
        self.environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Makes the vault, with the phrases cheap to try.
    ///
    /// # Errors
    /// When that fails.
    pub fn init(&self, relays: &[&str]) -> Result<Ended> {
        let mut words = vec!["init", "--test-kdf"];
        for relay in relays {
            words.extend(["--relay", relay]);
        }
        self.run(&words)
    }

    /// The command, ready to be started with `words`.
    ///
    /// # Errors
    /// When the programs do not build.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(folder()?.join("hearken"));
        command
            .arg("--home")
            .arg(&self.home)
            .arg("--passphrase-file")
            .arg(&self.passphrase)
            .arg("--json")
            .args(&self.more)
            .args(words)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started or prints what is not JSON.
    pub fn run(&self, words: &[&str]) -> Result<Ended> {
        self.run_with_input(words, b"")
    }

    /// Runs a command to its end with something on standard input.
    ///
    /// # Errors
    /// As [`Person::run`].
    pub fn run_with_input(&self, words: &[&str], input: &[u8]) -> Result<Ended> {
        let mut child = self.command(words)?.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("a piped input")?;
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        ended(output.status.code(), &output.stdout, &output.stderr)
    }

    /// Runs a command and kills it after `life`, unless it ended by itself.
    ///
    /// # Errors
    /// As [`Person::run`].
    pub fn run_killed(&self, words: &[&str], input: &[u8], life: Duration) -> Result<Ended> {
        let mut child = self.command(words)?.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("a piped input")?;
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let deadline = Instant::now() + life;
        while Instant::now() < deadline && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = child.kill();
        let output = child.wait_with_output()?;
        let _ = writer.join();
        // A line that was cut by the kill was not said.
        let whole = output.stdout.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        ended(output.status.code(), &output.stdout[..whole], &output.stderr)
    }
}

fn ended(status: Option<i32>, out: &[u8], errors: &[u8]) -> Result<Ended> {
    let out = std::str::from_utf8(out)?;
    let lines = out
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect::<Result<_>>()?;
    Ok(Ended { status, lines, errors: String::from_utf8_lossy(errors).into_owned() })
}
