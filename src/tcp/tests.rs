use proptest::prelude::*;

use super::*;

/// What comes out of a stream that is read in pieces of these lengths, over and over.
fn cut(framing: Framing, stream: &[u8], pieces: &[usize]) -> Result<Vec<Vec<u8>>, BadFrame> {
    let (mut deframer, mut messages) = (Deframer::new(framing), Vec::new());
    let (mut rest, mut pieces) = (stream, pieces.iter().cycle());
    while !rest.is_empty() {
        let piece = *pieces.next().unwrap();
        let (now, later) = rest.split_at(piece.min(rest.len()));
        rest = later;
        let room = deframer.room(piece);
        room[..now.len()].copy_from_slice(now);
        deframer.filled(now.len());
        while let Some(message) = deframer.next_frame()? {
            messages.push(message.to_vec());
        }
        deframer.release();
    }
    assert!(!deframer.is_partial());
    Ok(messages)
}

fn stun(length: usize) -> Vec<u8> {
    let mut message = vec![0, 1];
    message.extend((length as u16).to_be_bytes());
    message.extend([0x21, 0x12, 0xA4, 0x42]);
    message.extend(vec![7; 12 + length]);
    message
}

fn channel_data(number: u16, length: usize) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.extend((length as u16).to_be_bytes());
    message.extend(vec![9; length]);
    message
}

fn turn_message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..100_usize).prop_map(|words| stun(4 * words)),
        (0x4000..0x5000_u16, 0..2000_usize).prop_map(|(number, length)| channel_data(number, length)),
    ]
}

proptest! {
    /// RFC 8489 §6.2.2, RFC 8656 §12.5 (TURN-12.5-b).
    #[test]
    fn turn_messages_come_out_as_they_went_in_wherever_the_stream_is_cut(
        messages in prop::collection::vec(turn_message(), 0..12),
        pieces in prop::collection::vec(1..700_usize, 1..8),
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            Framing::Turn.put(message, &mut stream);
            prop_assert_eq!(stream.len() % 4, 0);
        }
        prop_assert_eq!(cut(Framing::Turn, &stream, &pieces), Ok(messages.clone()));
        prop_assert_eq!(cut(Framing::Turn, &stream, &[1]), Ok(messages));
    }

    /// RFC 4571 §2 (FRM-2-a).
    #[test]
    fn any_messages_come_out_of_rfc_4571_as_they_went_in_wherever_the_stream_is_cut(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..12),
        pieces in prop::collection::vec(1..700_usize, 1..8),
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            Framing::Rfc4571.put(message, &mut stream);
        }
        prop_assert_eq!(cut(Framing::Rfc4571, &stream, &pieces), Ok(messages.clone()));
        prop_assert_eq!(cut(Framing::Rfc4571, &stream, &[1]), Ok(messages));
    }

    /// Whatever comes, a deframer never holds more than the longest frame and what is read at a time.
    #[test]
    fn junk_neither_panics_nor_piles_up(
        reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..40),
        framing in prop::sample::select(vec![Framing::Turn, Framing::Rfc4571]),
    ) {
        let mut deframer = Deframer::new(framing);
        for read in reads {
            deframer.push(&read);
            while let Ok(Some(_)) = deframer.next_frame() {}
            if deframer.next_frame().is_err() {
                break;
            }
            prop_assert!(deframer.held.len() < 65_552);
            prop_assert!(deframer.bytes.len() < 65_552 + 3000);
        }
    }
}

#[test]
fn the_longest_frames_fit() {
    for message in [stun(65_532), channel_data(0x4FFF, 65_535)] {
        let mut stream = Vec::new();
        Framing::Turn.put(&message, &mut stream);
        assert_eq!(cut(Framing::Turn, &stream, &[1460]), Ok(vec![message]));
    }
    let (message, mut stream) = (vec![1; 65_535], Vec::new());
    Framing::Rfc4571.put(&message, &mut stream);
    assert_eq!(cut(Framing::Rfc4571, &stream, &[1460]), Ok(vec![message]));
}

#[test]
fn padded_channel_data_is_not_padded_again() {
    let mut stream = Vec::new();
    Framing::Turn.put(&[0x40, 0, 0, 3, 1, 2, 3, 0], &mut stream);
    assert_eq!(stream, [0x40, 0, 0, 3, 1, 2, 3, 0]);
    assert_eq!(cut(Framing::Turn, &stream, &[8]), Ok(vec![vec![0x40, 0, 0, 3, 1, 2, 3]]));
}

#[test]
fn what_is_neither_stun_nor_channel_data_is_noticed_early() {
    let classic = {
        let mut message = stun(0);
        message[4] = 0;
        message
    };
    for junk in [
        &b"SSH-2.0"[..],
        &[0x50],
        &[0x80, 0],
        &[0, 1, 0, 2],
        &[0, 1, 0, 0, 0x21, 0x13],
        // The beginning of TLS.
        &[0x16, 3, 1, 2, 0, 1],
        &classic,
    ] {
        let mut deframer = Deframer::new(Framing::Turn);
        deframer.push(junk);
        assert_eq!(deframer.next_frame(), Err(BadFrame), "{junk:?}");
        deframer.push(&stun(0));
        assert_eq!(deframer.next_frame(), Err(BadFrame), "it stays bad");
    }
}

#[test]
fn a_quiet_deframer_holds_no_memory_and_one_with_half_a_frame_keeps_it() {
    let mut deframer = Deframer::new(Framing::Turn);
    deframer.room(65_536);
    deframer.release();
    assert_eq!(deframer.bytes.capacity(), 0);
    deframer.room(65_536)[..2].copy_from_slice(&[0x40, 0]);
    deframer.filled(2);
    assert_eq!(deframer.next_frame(), Ok(None));
    deframer.release();
    assert!(deframer.is_partial());
    deframer.push(&[0, 1, 5, 0, 0, 0]);
    assert_eq!(deframer.next_frame(), Ok(Some(&[0x40, 0, 0, 1, 5][..])));
}

/// RFC 4571 §2 (FRM-2-b).
#[test]
fn a_null_packet_is_a_message_and_not_the_end() {
    let stream = [0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 2, 8, 9];
    let messages = [vec![], vec![7], vec![], vec![], vec![8, 9]];
    assert_eq!(cut(Framing::Rfc4571, &stream, &[1]), Ok(messages.to_vec()));
}

/// RFC 8489 §6.2.2: with other data STUN runs on a framing, alone on none.
#[test]
fn a_length_stands_before_each_message_with_rfc_4571_and_before_none_without() {
    let message = stun(8);
    let (mut framed, mut plain) = (Vec::new(), Vec::new());
    Framing::Rfc4571.put(&message, &mut framed);
    Framing::Turn.put(&message, &mut plain);
    assert_eq!(framed[..2], (message.len() as u16).to_be_bytes());
    assert_eq!(framed[2..], message);
    assert_eq!(plain, message);
}
