//! Which texts are addresses, and which hosts an entry relay does not forward to.

use super::*;

/// SHA-256 of 32 zero bytes, in base32.
const ZERO_KEY: &str = "mzuhvlpymk6xo3epygfy5h4oeaejofefn3rdhm4qfjmr2dk7fesq";

#[test]
fn a_fingerprint_is_the_hash_of_the_key_in_lower_case_base32() {
    let fingerprint = Fingerprint::of(&[0; 32]);
    let text = fingerprint.to_string();
    assert_eq!(text.len(), FINGERPRINT_CHARS);
    assert_eq!(text.parse(), Ok(fingerprint));
    assert_eq!(text, ZERO_KEY);
}

#[test]
fn a_fingerprint_has_one_spelling() {
    let good = Fingerprint::from_bytes([0; 32]).to_string();
    assert_eq!(good, "a".repeat(52));
    let bad = [
        good[..51].to_owned(),
        format!("{good}a"),
        good.to_ascii_uppercase(),
        format!("{}b", &good[..51]), // the last character has four bits that are not part of it
        format!("{}1", &good[..51]),
        format!("{}=", &good[..51]),
        format!("{}é", &good[..50]),
        String::new(),
    ];
    for text in bad {
        assert_eq!(text.parse::<Fingerprint>(), Err(AddressError::Fingerprint), "{text}");
    }
}

#[test]
fn an_address_is_printed_as_it_is_read() {
    let fingerprint = "a".repeat(52);
    for (places, printed) in [
        ("relay.example:4433", "relay.example:4433"),
        ("RELAY.Example:4433", "relay.example:4433"),
        ("192.0.2.7:1", "192.0.2.7:1"),
        ("[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535"),
        ("a.example:1,192.0.2.7:2,[::1]:3", "a.example:1,192.0.2.7:2,[::1]:3"),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example:80"),
        ("a.example:0080", "a.example:80"),
    ] {
        let address: RelayAddress = format!("{SCHEME}{fingerprint}@{places}").parse().unwrap();
        assert_eq!(address.to_string(), format!("{SCHEME}{fingerprint}@{printed}"));
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}

#[test]
fn what_is_no_address_says_what_is_wrong_with_it() {
    let id = "a".repeat(52);
    let nine = ["a.example:1"; 9].join(",");
    for (text, expected) in [
        (String::new(), AddressError::Scheme),
        (format!("https://{id}@a.example:1"), AddressError::Scheme),
        (format!("HEARKEN://{id}@a.example:1"), AddressError::Scheme),
        (format!(" hearken://{id}@a.example:1"), AddressError::Scheme),
        (format!("hearken://{id}"), AddressError::Fingerprint),
        ("hearken://a.example:1".to_owned(), AddressError::Fingerprint),
        (format!("hearken://{id}@"), AddressError::Place),
        (format!("hearken://{id}@a.example:1,"), AddressError::Place),
        (format!("hearken://{id}@{nine}"), AddressError::Places),
        (format!("hearken://{id}@a.example:1/"), AddressError::Place),
        (format!("hearken://{id}@x@a.example:1"), AddressError::Place),
    ] {
        assert_eq!(text.parse::<RelayAddress>(), Err(expected), "{text}");
    }
    let fingerprint = Fingerprint::from_bytes([0; 32]);
    assert_eq!(RelayAddress::new(fingerprint, vec![]), Err(AddressError::Places));
}

#[test]
fn what_is_no_place_is_refused() {
    let long_label = format!("{}.example:1", "a".repeat(64));
    let long_name = format!("{}:1", ["a"; 128].join("."));
    for text in [
        "",
        ":",
        ":1",
        "a.example",
        "a.example:",
        "a.example:0",
        "a.example:65536",
        "a.example:+1",
        "a.example:-1",
        "a.example: 1",
        "a.example:1 ",
        "a.example.:1",
        ".example:1",
        "a..example:1",
        "-a.example:1",
        "a-.example:1",
        "a_b.example:1",
        "a b:1",
        "bücher.example:1",
        "例え.jp:1",
        "a.example\u{0}:1",
        "1.2.3:1",
        "1.2.3.256:1",
        "0x7f.1:80x",
        "2130706433:1",
        "[::1:1",
        "::1]:1",
        "[]:1",
        "[::1%eth0]:1",
        "[192.0.2.1]:1",
        "::1:1",
        "[::1]",
        "[::1]1",
        "a.example:1:1",
        "a.example/:1",
        &long_label,
        &long_name,
    ] {
        assert_eq!(text.parse::<HostPort>(), Err(AddressError::Place), "{text}");
    }
}

#[test]
fn a_place_keeps_its_host_and_port() {
    let place: HostPort = "192.0.2.7:4433".parse().unwrap();
    assert_eq!((place.host(), place.port()), (&Host::Ip([192, 0, 2, 7].into()), 4433));
    let place: HostPort = "a.example:1".parse().unwrap();
    assert_eq!((place.host(), place.port()), (&Host::Name("a.example".to_owned()), 1));
}

#[test]
fn a_place_is_at_most_as_long_as_a_next_hop_has_room_for() {
    let zeros = |length: usize| format!("a.example:{}1", "0".repeat(length - "a.example:1".len()));
    assert_eq!(zeros(HOST_PORT_MAX).parse(), "a.example:1".parse::<HostPort>());
    for length in [HOST_PORT_MAX + 1, HOST_PORT_MAX + 2] {
        assert_eq!(zeros(length).parse::<HostPort>(), Err(AddressError::Place), "{length}");
    }
    let name = |last: usize| {
        let label = "a".repeat(63);
        format!("{label}.{label}.{label}.{}:65535", "a".repeat(last))
    };
    assert!(name(61).parse::<HostPort>().is_ok());
    assert_eq!(name(62).parse::<HostPort>(), Err(AddressError::Place));
}

#[test]
fn hosts_of_this_machine_and_of_private_networks_are_private() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:192.168.1.1",
        "::ffff:100.64.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "2002:a00:1::",
        "2002:7f00:1::1",
        "2002:c0a8:101::5",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "3fff:fff::1",
        "100::1",
    ] {
        let ip: IpAddr = text.parse().unwrap();
        assert!(is_private(ip), "{text}");
        assert!(HostPort::of_ip(ip, 1).is_private(), "{text}");
    }
    for name in ["localhost:1", "LOCALHOST:1", "relay.localhost:1"] {
        assert!(name.parse::<HostPort>().unwrap().is_private(), "{name}");
    }
}

#[test]
fn hosts_of_the_open_network_are_not_private() {
    for text in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:1::1",
        "2606:4700::1111",
        "2a00::1",
        "fbff::1",
        "3ffe::1",
        "3fff:1000::1",
    ] {
        let ip: IpAddr = text.parse().unwrap();
        assert!(!is_private(ip), "{text}");
    }
    for name in ["relay.example:1", "localhost.example:1", "notlocalhost:1"] {
        assert!(!name.parse::<HostPort>().unwrap().is_private(), "{name}");
    }
}
