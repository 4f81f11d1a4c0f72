//! `hearken-relay` as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use hearken_proto::address::RelayAddress;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_hearken-relay");

/// Runs a command to its end.
pub fn relay(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The last line of standard error, which must be the error object.
pub fn error_of(output: &Output) -> Value {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("nothing on standard error"));
    let object: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("no JSON: {text}"));
    for key in ["error", "message", "advice"] {
        assert!(object[key].as_str().is_some_and(|text| !text.is_empty()), "{text}");
    }
    object
}

/// The lines of standard output, each of which must be an object.
pub fn objects_of(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A relay that serves; killed when dropped.
pub struct Serving {
    child: Child,
    pub ready: Value,
    /// Keeps the pipe open, so that the relay can go on printing.
    _stdout: BufReader<std::process::ChildStdout>,
}

impl Serving {
    /// Starts `serve` on a free loopback port and waits until it is ready.
    pub fn start(data: &Path, more: &[&str]) -> Self {
        Self::start_with(data, more, &[])
    }

    /// The same, with variables in its environment.
    pub fn start_with(data: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--json", "--set", "pow_bits=1", "--data"]).arg(data);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        Self::ready(command.args(more).envs(environment.iter().copied()))
    }

    /// Starts one that may write no file longer than so many KiB, and whose mailboxes hold more than that.
    pub fn start_limited(data: &Path, kibibytes: u32) -> Self {
        let mut command = Command::new("bash");
        command
            .arg("-c")
            .arg(format!("ulimit -f {kibibytes}; exec \"$@\""))
            .args(["bash", PROGRAM, "serve", "--json", "--set", "pow_bits=1"])
            .args(["--set", "limits.mailbox_blobs_max=65536", "--listen", "127.0.0.1:0", "--data"])
            .arg(data);
        Self::ready(&mut command)
    }

    fn ready(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the relay did not start: {said}");
        }
        let ready = serde_json::from_str(&line).unwrap();
        Self { child, ready, _stdout: stdout }
    }

    pub fn address(&self) -> RelayAddress {
        self.ready["address"].as_str().unwrap().parse().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL, as a power cut would end it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; its exit status and all that it said on standard error.
    pub fn terminate(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for it to end by itself.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
