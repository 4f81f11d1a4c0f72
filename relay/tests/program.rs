//! `hearken-relay` as an operator and a script meet it: exit statuses, lines, files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use hearken_proto::address::RelayAddress;
use rustix::process::Signal;
use support::process::{PROGRAM, Serving, error_of, objects_of, relay};

#[test]
fn init_makes_a_relay_and_refuses_to_overwrite_it() {
    let (_temporary, data) = folder();
    let data_text = data.to_str().unwrap();
    let arguments =
        ["--json", "init", "--data", data_text, "--host", "relay.example", "--listen", "0.0.0.0:7"];
    let made = relay(&arguments);
    assert_eq!(made.status.code(), Some(0));
    let object = &objects_of(&made)[0];
    let address: RelayAddress = object["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(address.places()[0].to_string(), "relay.example:7");
    assert_eq!(object["fingerprint"].as_str().unwrap(), address.fingerprint().to_string());
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);

    let before = fs::read(data.join("keys/identity")).unwrap();
    let again = relay(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(error_of(&again)["error"], "already-exists");
    assert!(again.stdout.is_empty());
    assert_eq!(fs::read(data.join("keys/identity")).unwrap(), before);

    // The same flag behind the command, and the address that init told.
    let told = relay(&["address", "--data", data_text, "--json"]);
    assert_eq!(objects_of(&told)[0]["address"], object["address"]);
    let plain = relay(&["address", "--data", data_text]);
    assert_eq!(String::from_utf8(plain.stdout).unwrap().trim_end(), address.to_string());
}

#[test]
fn serve_makes_what_is_missing_says_that_it_is_ready_and_ends_with_0_at_sigterm_and_sigint() {
    let (_temporary, data) = folder();
    for signal in [Signal::TERM, Signal::INT] {
        let serving = Serving::start(&data, &[]);
        assert_eq!(serving.ready["event"], "ready");
        let listen = serving.ready["listen"][0].as_str().unwrap().to_owned();
        assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"), "{listen}");
        let address = serving.address().to_string();
        assert!(address.ends_with(&format!("@{listen}")), "{address}");
        let told = relay(&["--json", "address", "--data", data.to_str().unwrap()]);
        assert_eq!(objects_of(&told)[0]["address"], address);
        let mode = fs::metadata(data.join("admin.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        serving.signal(signal);
        let (status, said) = serving.wait();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("loopback or private"), "{said}");
        assert!(!data.join("admin.sock").exists());
    }
}

#[test]
fn a_second_serve_on_one_folder_is_refused_and_harms_nothing() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let listen = serving.ready["listen"][0].as_str().unwrap();
    for at in [listen, "127.0.0.1:0"] {
        let second = relay(&["serve", "--json", "--data", data.to_str().unwrap(), "--listen", at]);
        assert_eq!(second.status.code(), Some(1));
        assert_eq!(error_of(&second)["error"], "locked");
    }
    let stats = relay(&["stats", "--json", "--data", data.to_str().unwrap()]);
    assert_eq!(objects_of(&stats)[0]["running"], true);
    assert_eq!(serving.terminate().0.code(), Some(0));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let (_temporary, data) = folder();
    let data_text = data.to_str().unwrap();
    assert!(relay(&["init", "--data", data_text]).status.success());
    fs::write(data.join("relay.toml"), "forward = true\n\nfroward = true\n").unwrap();
    for command in ["serve", "check"] {
        let refused = relay(&[command, "--json", "--data", data_text]);
        assert_eq!(refused.status.code(), Some(1));
        let error = error_of(&refused);
        assert_eq!(error["error"], "unknown-key");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("line 3") && message.contains("froward"), "{message}");
    }
    let plain = relay(&["serve", "--data", data_text]);
    let text = String::from_utf8(plain.stderr).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn stats_are_told_of_a_running_relay_and_of_a_stopped_one() {
    let (_temporary, data) = folder();
    let arguments = ["stats", "--json", "--data", data.to_str().unwrap()];
    let none = relay(&arguments);
    assert_eq!(
        (none.status.code(), error_of(&none)["error"].as_str()),
        (Some(1), Some("no-relay"))
    );
    assert!(!data.exists());

    let serving = Serving::start(&data, &[]);
    let running = &objects_of(&relay(&arguments))[0];
    assert_eq!(running["running"], true);
    assert_eq!(running["links"], 0);
    assert!(running["infos_signed"].as_u64().unwrap() >= 1, "{running}");
    serving.terminate();
    let stopped = &objects_of(&relay(&arguments))[0];
    assert_eq!(stopped["running"], false);
    assert!(stopped["disk_bytes"].as_u64().is_some(), "{stopped}");
}

#[test]
fn stats_reach_a_relay_whose_folder_lies_too_deep_for_a_socket_address() {
    let (_temporary, data) = folder();
    let deep = data.join("d".repeat(60)).join("e".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    let _serving = Serving::start(&deep, &[]);
    let stats = relay(&["stats", "--json", "--data", deep.to_str().unwrap()]);
    assert_eq!(objects_of(&stats)[0]["running"], true);
}

#[test]
fn check_finds_a_sound_relay_sound_and_says_what_is_wrong_with_others() {
    let (_temporary, data) = folder();
    let data_text = data.to_str().unwrap();
    let arguments = ["check", "--json", "--data", data_text];
    let serving = Serving::start(&data, &[]);
    let locked = relay(&arguments);
    assert_eq!(
        (locked.status.code(), error_of(&locked)["error"].as_str()),
        (Some(1), Some("locked"))
    );
    serving.terminate();
    let sound = relay(&arguments);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert_eq!(objects_of(&sound).last().unwrap()["checked"], true);

    let identity = data.join("keys/identity");
    let whole = fs::read(&identity).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&identity, damaged).unwrap();
    let found = relay(&arguments);
    assert_eq!(found.status.code(), Some(1));
    let finding = &objects_of(&found)[0];
    assert_eq!(
        (finding["code"].as_str(), finding["where"].as_str()),
        (Some("store-damaged"), Some("keys"))
    );
    fs::write(&identity, whole).unwrap();

    damage_engine(&data.join("engine"));
    let found = relay(&arguments);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    assert_eq!(error_of(&found)["error"], "store-damaged");
    let serve = relay(&["serve", "--json", "--data", data_text, "--listen", "127.0.0.1:0"]);
    assert_eq!(
        (serve.status.code(), error_of(&serve)["error"].as_str()),
        (Some(1), Some("store-damaged"))
    );
}

#[test]
fn what_is_not_built_is_refused_before_anything_is_done() {
    let (_temporary, data) = folder();
    let data_text = data.to_str().unwrap();
    for arguments in [
        &["serve", "--data", data_text, "--set", "desk.log_every_seconds=1", "--json"][..],
        &["serve", "--data", data_text, "--set", "admission=invite", "--json"],
    ] {
        let refused = relay(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert_eq!(error_of(&refused)["error"], "not-built", "{arguments:?}");
        assert!(!data.exists(), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_is_2_in_the_same_form() {
    let (_temporary, data) = folder();
    let data_text = data.to_str().unwrap();
    for arguments in [
        &["--json"][..],
        &["--json", "serve"],
        &["--json", "dance"],
        &["init", "--data", data_text, "--listen", "here", "--json"],
        &["init", "--data", data_text, "--host", "a b", "--json"],
        &["serve", "--data", data_text, "--set", "pow_bits", "--json"],
        &["serve", "--data", data_text, "--set", "nonsense=1", "--json"],
        &["serve", "--data", data_text, "--set", "pow_bits=99", "--json"],
    ] {
        let refused = relay(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        error_of(&refused);
        assert!(refused.stdout.is_empty());
        assert!(!data.exists(), "{arguments:?}");
    }
    let plain = relay(&["dance"]);
    let text = String::from_utf8(plain.stderr).unwrap();
    assert_eq!((plain.status.code(), text.lines().count()), (Some(2), 2), "{text}");
    for help in ["--help", "--version"] {
        let told = relay(&[help]);
        assert!(told.status.success() && !told.stdout.is_empty());
    }
}

#[test]
fn a_port_that_is_taken_or_an_address_that_is_not_ours_is_said() {
    let (_temporary, data) = folder();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    for listen in [at.as_str(), "192.0.2.1:4433"] {
        let data = data.to_str().unwrap();
        let refused = relay(&["serve", "--json", "--data", data, "--listen", listen]);
        assert_eq!(refused.status.code(), Some(1));
        let error = error_of(&refused);
        assert_eq!(error["error"], "listen");
        assert!(error["message"].as_str().unwrap().contains(listen));
    }
}

#[test]
fn a_folder_with_something_else_in_it_is_not_served() {
    let (_temporary, data) = folder();
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("letters.txt"), "x").unwrap();
    let refused = relay(&["serve", "--json", "--data", data.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(error_of(&refused)["error"], "no-relay");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

#[test]
fn two_starts_on_one_empty_folder_at_once_make_one_identity() {
    let (_temporary, data) = folder();
    let start = || {
        std::process::Command::new(PROGRAM)
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut children = [start(), start()];
    let ended = loop {
        if let Some(index) =
            children.iter_mut().position(|child| child.try_wait().unwrap().is_some())
        {
            break index;
        }
        std::thread::yield_now();
    };
    let other = 1 - ended;
    children[other].kill().unwrap();
    children[other].wait().unwrap();
    let [first, second] = children;
    let refused = if ended == 0 { first } else { second }.wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    Serving::start(&data, &[]).terminate();
}

/// Turns a byte in the middle of every file of the engine.
fn damage_engine(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage_engine(&path);
        } else {
            let mut bytes = fs::read(&path).unwrap();
            if let Some(byte) = bytes.get_mut(8) {
                *byte ^= 0x55;
                fs::write(&path, bytes).unwrap();
            }
        }
    }
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    (temporary, data)
}
