use super::*;

/// RFC 7541 appendix C.4: one table, three requests, Huffman-coded.
#[test]
fn the_standards_own_requests_are_followed() {
    let mut table = Table::default();
    for (list, size) in [
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", 57),
        ("828684be5886a8eb10649cbf", 110),
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", 164),
    ] {
        assert_eq!(table.read(&bytes(list)), Some(Found { pseudo: true, fragment: false }));
        assert_eq!(table.size, size);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect()
}

/// `www.example.com`, RFC 7541 appendix C.4.1; every byte; and what is no code.
#[test]
fn coded_text_is_decoded() {
    let text = |coded: &[u8]| {
        let mut text = Vec::new();
        huffman::decode(coded, |byte| text.push(byte)).map(|()| text)
    };
    assert_eq!(text(&bytes("f1e3c2e5f23a6ba0ab90f4ff")).as_deref(), Some(&b"www.example.com"[..]));
    assert_eq!(text(b"").as_deref(), Some(&b""[..]));
    // '#' is 0xffa in 12 bits, 10 is 0x3ffffffc in 30.
    assert_eq!(text(&bytes("ffaf")).as_deref(), Some(&b"#"[..]));
    assert_eq!(text(&bytes("fffffff3")).as_deref(), Some(&b"\n"[..]));
    for wrong in ["ff", "ffffffff", "f1e3c2e5f23a6ba0ab90f4fe", "00", "ffffffffff"] {
        assert_eq!(text(&bytes(wrong)), None, "{wrong}");
    }
}

#[test]
fn a_fragment_is_found_however_it_is_told() {
    const PLAIN: Found = Found { pseudo: true, fragment: false };
    const FRAGMENT: Found = Found { pseudo: true, fragment: true };
    for (list, found) in [
        // :path /a#b by the name's index: not indexed, never indexed, indexed; plain and coded.
        (&b"\x04\x04/a#b"[..], FRAGMENT),
        (b"\x14\x04/a#b", FRAGMENT),
        (b"\x45\x04/a#b", FRAGMENT),
        (b"\x04\x84\x60\x7f\xf5\x1f", FRAGMENT),
        // By its name: plain and coded.
        (b"\x00\x05:path\x04/a#b", FRAGMENT),
        (b"\x00\x84\xb9\x58\xd3\x3f\x04/a#b", FRAGMENT),
        // By an entry that was made in the same list.
        (b"\x44\x04/a#b\xbe", FRAGMENT),
        (b"\x44\x02/a\x0f\x2f\x02/#", FRAGMENT),
        // Elsewhere it is nothing.
        (b"\x01\x04a#bc", PLAIN),
        (b"\x04\x02/a\x10\x01x\x01#", PLAIN),
        (b"\x00\x06:pathx\x01#", PLAIN),
        (b"\x00\x04:pat\x01#", PLAIN),
        (b"\x10\x01x\x01#", Found::default()),
        (b"\x10\x05path:\x01#", Found::default()),
        (b"\x90", Found::default()),
        (b"\x88", PLAIN),
        (b"", Found::default()),
        (b"\x3f\xe1\x1f", Found::default()),
    ] {
        assert_eq!(Table::default().read(list), Some(found), "{}", list.escape_ascii());
    }
}

#[test]
fn what_is_no_field_list_is_not_followed() {
    for list in [
        &b"\x80"[..],
        b"\xbe",
        b"\xff",
        b"\xff\xff\xff\xff\xff\x01",
        b"\x40",
        b"\x40\x00\x00",
        b"\x40\x01x",
        b"\x40\x01x\x02y",
        b"\x04\x81\x00\x01",
        b"\x3f\xe2\x1f",
    ] {
        assert_eq!(Table::default().read(list), None, "{}", list.escape_ascii());
    }
}

/// Fields as a model has them: a table of whole fields, and a plain encoder.
#[derive(Default)]
struct Model {
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    most: usize,
}

impl Model {
    fn insert(&mut self, field: (Vec<u8>, Vec<u8>)) {
        self.entries.push_front(field);
        self.trim();
    }

    fn trim(&mut self) {
        let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
        while self.entries.iter().map(size).sum::<usize>() > self.most {
            self.entries.pop_back();
        }
    }
}

fn push_integer(list: &mut Vec<u8>, pattern: u8, prefix: u32, mut value: usize) {
    let mask = (1 << prefix) - 1;
    if value < mask {
        return list.push(pattern | u8::try_from(value).unwrap());
    }
    list.push(pattern | u8::try_from(mask).unwrap());
    value -= mask;
    while value >= 128 {
        list.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    list.push(u8::try_from(value).unwrap());
}

fn push_text(list: &mut Vec<u8>, text: &[u8]) {
    push_integer(list, 0, 7, text.len());
    list.extend(text);
}

const NAMES: [&str; 6] = [":path", ":method", "x-a", "cookie", ":pathological", "x-long-name-of-a-field"];

proptest::proptest! {
    /// Whatever the table forgets and keeps, an index stands for the same field as for the client.
    #[test]
    fn indices_stand_for_what_the_client_means(
        steps in proptest::collection::vec((0..6_usize, 0..4_usize, 0..3000_usize, 0..5_u8, 0..5000_usize), 1..60)
    ) {
        let mut table = Table::default();
        let mut model = Model { most: MOST, ..Model::default() };
        for (name, value, length, how, most) in steps {
            let mut value = ["", "/a", "#", "/b#"][value].as_bytes().to_vec();
            value.resize(value.len().max(length / 8), b'x');
            let mut field = (NAMES[name].as_bytes().to_vec(), value);
            let mut list = Vec::new();
            match how {
                0 if !model.entries.is_empty() => {
                    let index = most % model.entries.len();
                    push_integer(&mut list, 0x80, 7, 62 + index);
                    field = model.entries[index].clone();
                }
                1 if !model.entries.is_empty() => {
                    let index = most % model.entries.len();
                    field.0 = model.entries[index].0.clone();
                    push_integer(&mut list, 0x40, 6, 62 + index);
                    push_text(&mut list, &field.1);
                    model.insert(field.clone());
                }
                2 => {
                    model.most = most.min(MOST);
                    model.trim();
                    push_integer(&mut list, 0x20, 5, model.most);
                    push_integer(&mut list, 0x10, 4, 0);
                    push_text(&mut list, &field.0);
                    push_text(&mut list, &field.1);
                }
                _ => {
                    list.push(0x40);
                    push_text(&mut list, &field.0);
                    push_text(&mut list, &field.1);
                    model.insert(field.clone());
                }
            }
            let fragment = field.0 == b":path" && field.1.contains(&b'#');
            let found = Found { pseudo: field.0.starts_with(b":"), fragment };
            proptest::prop_assert_eq!(table.read(&list), Some(found));
            proptest::prop_assert_eq!(table.entries.len(), model.entries.len());
        }
    }

    #[test]
    fn no_bytes_upset_it(lists: Vec<Vec<u8>>) {
        let mut table = Table::default();
        for list in lists {
            let _ = table.read(&list);
            proptest::prop_assert!(table.size <= MOST);
        }
    }
}
