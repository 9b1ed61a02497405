//! One half of a WebSocket, frame by frame (RFC 6455, section 5.2). Of what a visitor sends, as far
//! as it takes to leave out what a browser sends by itself: it answers each ping of the portal's,
//! and that is no use of a session. Of what a portal sends, as far as it takes to say something
//! between two frames. Nothing is kept, changed or refused here: what is no frame is the other
//! side's to judge.

/// The opcode of a pong.
const PONG: u8 = 0xa;
/// The opcode of the last frame of a half.
const CLOSE: u8 = 0x8;

/// Where a half of a WebSocket is.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// How much of a head has been read.
    read: u8,
    /// Where the length in it ends, and where it ends itself.
    length: u8,
    head: u8,
    is_pong: bool,
    has_closed: bool,
    /// How much of the frame is still to come; while its head is read, what that says so far.
    left: u64,
}

impl Frames {
    /// Reads on. Whether anything but a pong was among it.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_use = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.read == 0 && self.left > 0 {
                let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(self.left);
                self.left -= there;
                bytes = bytes.get(usize::try_from(there).unwrap_or(usize::MAX)..).unwrap_or(&[]);
            } else {
                self.read_head(*first);
                bytes = rest;
            }
            is_use |= !self.is_pong;
        }
        is_use
    }

    /// Whether a frame has ended and no other has begun.
    pub(super) const fn is_between(&self) -> bool {
        self.read == 0 && self.left == 0
    }

    /// So many bytes belong to the frame that has begun, for certain.
    pub(super) const fn certain(&self) -> u64 {
        if self.read == 0 { self.left } else { 1 }
    }

    /// Whether whoever sends has said that this was all.
    pub(super) const fn has_closed(&self) -> bool {
        self.has_closed
    }

    fn read_head(&mut self, byte: u8) {
        match self.read {
            0 => {
                self.is_pong = byte & 0xf == PONG;
                self.has_closed |= byte & 0xf == CLOSE;
                self.head = 2;
            }
            1 => {
                let mask = if byte & 0x80 == 0 { 0 } else { 4 };
                let (length, more) = match byte & 0x7f {
                    126 => (0, 2),
                    127 => (0, 8),
                    length => (length, 0),
                };
                self.left = u64::from(length);
                self.length = 2 + more;
                self.head = self.length + mask;
            }
            at if at < self.length => self.left = self.left << 8 | u64::from(byte),
            _ => {}
        }
        self.read += 1;
        if self.read >= self.head && self.read > 1 {
            self.read = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a browser sends it: with a mask.
    fn frame(opcode: u8, length: usize) -> Vec<u8> {
        let length_in_head = match length {
            0..=125 => vec![0x80 | length as u8],
            126..=0xffff => [&[0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
            _ => [&[0x80 | 127][..], &(length as u64).to_be_bytes()].concat(),
        };
        // Pongs look like frames of text inside, and text like pongs.
        let payload = if opcode == PONG { 0x81 } else { 0x8a };
        [&[0x80 | opcode][..], &length_in_head, &[1, 2, 3, 4], &vec![payload; length]].concat()
    }

    #[test]
    fn a_pong_is_no_use_however_it_is_cut() {
        for length in [0, 1, 125, 126, 127, 0xffff, 0x1_0000] {
            let (pong, text) = (frame(PONG, length), frame(1, length));
            for piece in [1, 2, 3, 7, 100, usize::MAX] {
                let mut frames = Frames::default();
                let read = |frames: &mut Frames, bytes: &[u8]| {
                    let pieces = bytes.chunks(piece.min(bytes.len()));
                    pieces.map(|piece| frames.read(piece)).collect::<Vec<_>>()
                };
                for _ in 0..3 {
                    assert!(!read(&mut frames, &pong).contains(&true), "{length} {piece}");
                    assert!(!read(&mut frames, &text).contains(&false), "{length} {piece}");
                }
                let both = [&pong[..], &text, &pong].concat();
                assert!(read(&mut frames, &both).contains(&true), "{length} {piece}");
                assert!(!read(&mut frames, &pong).contains(&true), "{length} {piece}");
            }
        }
    }

    #[test]
    fn between_two_frames_is_known_however_they_are_cut() {
        for length in [0, 1, 125, 126, 0xffff, 0x1_0000] {
            // As a portal sends it, without a mask, and as a visitor does.
            let unmasked = [&[0x82, 127][..], &(length as u64).to_be_bytes(), &vec![8; length]];
            for whole in [unmasked.concat(), frame(2, length)] {
                let mut frames = Frames::default();
                for (at, byte) in whole.iter().enumerate() {
                    assert_eq!(frames.is_between(), at == 0, "{length} {at}");
                    assert!(at == 0 || frames.certain() <= (whole.len() - at) as u64);
                    frames.read(&[*byte]);
                }
                assert!(frames.is_between() && !frames.has_closed());
                frames.read(&[0x88, 0]);
                assert!(frames.is_between() && frames.has_closed());
            }
        }
    }

    #[test]
    fn what_is_no_frame_does_no_harm() {
        let mut frames = Frames::default();
        assert!(!frames.read(b""));
        // A length that nobody could send.
        assert!(frames.read(&[0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]));
        assert!(frames.read(&[0x8a; 100_000]));
    }
}
