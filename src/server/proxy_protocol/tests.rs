//! What is taken for it, what is not, and that no byte behind it is touched.

use proptest::prelude::*;

use super::{LINE_MAX, Parsed, REST_MAX, SIGNATURE, Source, parse};

fn of(source: &str) -> Source {
    if source == "peer" { Source::Peer } else { Source::Client(source.parse().unwrap()) }
}

/// Version 2 with this command, family and rest, which is as long as it says.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, rest].concat()
}

const FOUR: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 0, 80];

fn six(source: &str) -> Vec<u8> {
    let address: std::net::Ipv6Addr = source.parse().unwrap();
    [&address.octets()[..], &[0; 16], &[0x12, 0x34, 0, 80]].concat()
}

fn good() -> Vec<(Vec<u8>, &'static str)> {
    let line = |text: &str| format!("{text}\r\n").into_bytes();
    let long = format!("PROXY UNKNOWN {}", "x".repeat(LINE_MAX - 16));
    let most = [&FOUR[..], &[4, 0x0f, 0xf1], &[0; REST_MAX - 15]].concat();
    vec![
        (line("PROXY TCP4 192.0.2.1 192.0.2.2 4660 80"), "192.0.2.1:4660"),
        (line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"), "255.255.255.255:65535"),
        (line("PROXY TCP6 2001:db8::1 2001:db8::2 4660 80"), "[2001:db8::1]:4660"),
        (line("PROXY TCP6 ::ffff:192.0.2.1 ::1 4660 80"), "192.0.2.1:4660"),
        (line("PROXY TCP4 192.0.2.1 192.0.2.2 0 0"), "192.0.2.1:0"),
        (line("PROXY UNKNOWN"), "peer"),
        (line("PROXY UNKNOWN ffff::1 whatever \0"), "peer"),
        (line(&long), "peer"),
        (binary(0x21, 0x11, &FOUR), "192.0.2.1:4660"),
        (binary(0x21, 0x11, &[&FOUR[..], &[1, 0, 2, b'h', b'2', 4, 0, 0]].concat()), "192.0.2.1:4660"),
        (binary(0x21, 0x11, &most), "192.0.2.1:4660"),
        (binary(0x21, 0x21, &six("2001:db8::1")), "[2001:db8::1]:4660"),
        (binary(0x21, 0x21, &six("::ffff:192.0.2.1")), "192.0.2.1:4660"),
        (binary(0x21, 0x31, &[b'/'; 216]), "peer"),
        (binary(0x21, 0x00, &[]), "peer"),
        (binary(0x20, 0x00, &[]), "peer"),
        (binary(0x20, 0x11, &FOUR), "peer"),
        (binary(0x20, 0xff, b"whatever"), "peer"),
    ]
}

#[test]
fn what_is_right_is_read_and_nothing_behind_it() {
    for (bytes, source) in good() {
        for behind in ["", "GET / HTTP/1.1\r\n", "\r\n\r\n\0\r\nQUIT\n", "PROXY UNKNOWN\r\n"] {
            let all = [&bytes, behind.as_bytes()].concat();
            assert_eq!(parse(&all), Parsed::Whole(of(source), bytes.len()), "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn of_a_part_no_more_is_wanted_than_belongs_to_it() {
    for (bytes, _) in good() {
        for end in 0..bytes.len() {
            let Parsed::Part(more) = parse(&bytes[..end]) else {
                panic!("{end} of {}", bytes.escape_ascii())
            };
            assert!(more > 0 && end + more <= bytes.len(), "{more} after {end} of {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn what_is_wrong_is_refused() {
    for text in [
        "GET / HTTP/1.1\r\n",
        "G",
        "PROXX",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        " PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
        "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 x\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 2001:db8::1%eth0 2001:db8::2 1 2\r\n",
        "PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "\r\n\r\n\0\r\nQUIT\r",
        "\r\nGET / HTTP/1.1\r\n",
    ] {
        assert!(matches!(parse(text.as_bytes()), Parsed::Malformed(_)), "{text:?}");
    }
    for bytes in [
        format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_MAX - 15)).into_bytes(),
        format!("PROXY UNKNOWN {}", "x".repeat(LINE_MAX - 14)).into_bytes(),
        b"PROXY UNKNOWN \xff\r\n".to_vec(),
        binary(0x11, 0x11, &FOUR),
        binary(0x22, 0x11, &FOUR),
        binary(0x31, 0x11, &FOUR),
        binary(0x21, 0x12, &FOUR),
        binary(0x21, 0x22, &six("::1")),
        binary(0x21, 0x10, &FOUR),
        binary(0x21, 0x11, &FOUR[..11]),
        binary(0x21, 0x21, &FOUR),
        binary(0x21, 0x31, &[0; 215]),
        binary(0x21, 0x11, &[&FOUR[..], &[1]].concat()),
        binary(0x21, 0x11, &[&FOUR[..], &[1, 0, 2, 0]].concat()),
        binary(0x21, 0x00, &[1, 0]),
        binary(0x20, 0x00, &vec![0; REST_MAX + 1]),
    ] {
        assert!(matches!(parse(&bytes), Parsed::Malformed(_)), "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn whatever_comes_a_longer_part_of_it_is_read_the_same(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
    ) {
        let (mut bytes, _) = which.get(&good()).clone();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        let whole = parse(&bytes);
        for end in 0..bytes.len() {
            match parse(&bytes[..end]) {
                Parsed::Part(more) => prop_assert!(more > 0),
                Parsed::Whole(source, length) => prop_assert_eq!(whole, Parsed::Whole(source, length)),
                Parsed::Malformed(_) => prop_assert!(matches!(whole, Parsed::Malformed(_))),
            }
        }
    }
}
