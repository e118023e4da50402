use super::*;

/// `:path: /#`, not indexed.
const FRAGMENT: &[u8] = b"\x04\x02/#";
/// `:path: /`.
const PATH: &[u8] = b"\x84";
/// `x: y`, not indexed.
const PLAIN: &[u8] = b"\x00\x01x\x01y";

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let header = [length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    [&header, payload].concat()
}

/// A client that has said hello, and these frames.
fn follow(frames: &[Vec<u8>], step: usize) -> Frames {
    let bytes = [PREFACE, &frame(4, 0, 0, b""), &frames.concat()].concat();
    let mut following = Frames::default();
    for piece in bytes.chunks(step) {
        following.take(piece);
    }
    following
}

#[test]
fn a_head_begins_with_its_first_frame_and_ends_with_its_last() {
    let wire = [
        (PREFACE.to_vec(), true),
        (frame(4, 0, 0, &[0; 6]), false),
        (frame(6, 0, 0, &[0; 8]), false),
        (frame(HEADERS, 0, 1, &PLAIN.repeat(60)), true),
        (frame(CONTINUATION, 0, 1, b""), true),
        (frame(CONTINUATION, END_HEADERS, 1, PLAIN), false),
        (frame(DATA, END_STREAM, 1, &[0; 5]), false),
        (frame(HEADERS, END_HEADERS, 3, b""), false),
        (frame(4, 1, 0, b""), false),
        (frame(HEADERS, 0, 5, PLAIN), true),
    ];
    let bytes: Vec<u8> = wire.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
    let states = |step: usize| {
        let mut frames = Frames::default();
        bytes
            .chunks(step)
            .map(|piece| {
                frames.take(piece);
                frames.is_in_head()
            })
            .collect::<Vec<_>>()
    };
    let each = states(1);
    for step in 1..bytes.len() {
        let seen = states(step);
        let want: Vec<bool> = (0..seen.len()).map(|n| each[(n * step + step).min(bytes.len()) - 1]).collect();
        assert_eq!(seen, want, "by {step}");
    }
    let mut end = 0;
    for (bytes, in_head) in wire {
        end += bytes.len();
        assert_eq!(each[end - 1], in_head, "after {end} bytes");
    }
}

#[test]
fn each_head_has_its_own_time() {
    let mut frames = follow(&[], 1);
    let before = frames.head_number();
    let first = frame(HEADERS, 0, 1, PLAIN);
    frames.take(&first[..first.len() - 1]);
    let begun = frames.head_number();
    frames.take(&[&b"y"[..], &frame(CONTINUATION, END_HEADERS, 1, b""), &frame(HEADERS, 0, 3, b"")].concat());
    assert!(frames.is_in_head() && before != begun && begun != frames.head_number());
}

#[test]
fn what_the_parsed_form_does_not_show_is_seen_however_its_bytes_arrive() {
    let padded = |list: &[u8]| [&[3][..], &[0, 0, 0, 0, 9], list, &[4; 3]].concat();
    let wire = [
        frame(HEADERS, END_HEADERS, 1, PATH),
        frame(HEADERS, END_HEADERS, 3, FRAGMENT),
        frame(HEADERS, 0, 5, &FRAGMENT[..2]),
        frame(CONTINUATION, END_HEADERS, 5, &FRAGMENT[2..]),
        frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 7, &padded(FRAGMENT)),
        // Trailers: of the first with a pseudo-field, of the others without.
        frame(HEADERS, END_HEADERS | END_STREAM, 1, PATH),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, PLAIN),
        frame(HEADERS, END_HEADERS, 9, PATH),
    ];
    for step in 1..=wire.concat().len() {
        let mut frames = follow(&wire, step);
        let fragments = [1, 3, 5, 7, 9].map(|stream| frames.had_fragment(stream));
        assert_eq!(fragments, [false, true, true, true, false].map(Some), "by {step}");
        assert_eq!([1, 3, 5].map(|stream| frames.had_pseudo_trailers(stream)), [true, false, false]);
        frames.forget(1);
        assert!(!frames.had_pseudo_trailers(1));
    }
}

#[test]
fn a_head_that_h2_reads_differently_is_not_followed() {
    for head in [
        frame(HEADERS, END_HEADERS, 1, b"\x40"),
        frame(HEADERS, END_HEADERS | PADDED, 1, b""),
        frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09\x84"),
        frame(HEADERS, END_HEADERS | PRIORITY, 1, b"\0\0\0\0"),
        frame(HEADERS, END_HEADERS | PRIORITY, 1, b"\0\0\0\x01\0\x84"),
        frame(HEADERS, END_HEADERS | PRIORITY, 1, b"\x80\0\0\x01\0\x84"),
        frame(HEADERS, END_HEADERS, 1, &b"\x84".repeat(FRAME_MAX + 1)),
    ] {
        let mut frames = follow(&[head, frame(HEADERS, END_HEADERS, 3, PATH)], 7);
        assert_eq!(frames.had_fragment(3), None);
        assert!(frames.had_pseudo_trailers(3) && !frames.is_in_head());
    }
    let endless: Vec<_> =
        [vec![frame(HEADERS, 0, 1, b"")], vec![frame(CONTINUATION, 0, 1, &[0x84; FRAME_MAX]); 17]].concat();
    let frames = follow(&endless, 1000);
    assert!(frames.lost && frames.head.len() <= HEAD_MAX + FRAME_MAX);
    let many: Vec<_> = (0..3000_u32)
        .map(|number| {
            let mut head = frame(HEADERS, END_HEADERS, 0, FRAGMENT);
            head[5..9].copy_from_slice(&(number * 2 + 1).to_be_bytes());
            head
        })
        .collect();
    assert!(follow(&many, 1000).noted.fragments.len() < 2010);
}

#[test]
fn frames_that_carry_nothing_are_counted() {
    let mut frames = follow(
        &[
            frame(6, 0, 0, &[0; 8]),
            frame(8, 0, 0, &[0; 4]),
            frame(DATA, 0, 1, b""),
            frame(DATA, 0, 1, b"x"),
            frame(DATA, END_STREAM, 1, b""),
            frame(0xfe, 0, 0, &[0; 100]),
            frame(HEADERS, END_HEADERS, 3, PATH),
        ],
        3,
    );
    // With the settings at the beginning.
    assert_eq!((frames.take_idle(), frames.take_idle()), (5, 0));
}
