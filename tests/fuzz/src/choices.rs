//! Bytes read as choices. Where they end every choice is 0, so a shorter input is a shorter sequence of events.

/// The choices that an input has left.
#[derive(Clone, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// All of an input.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether none is left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// One of `0..count`, which is at most 256.
    pub fn below(&mut self, count: usize) -> usize {
        if count < 2 { 0 } else { usize::from(self.byte()) % count }
    }

    /// True in about one of `of`.
    pub fn one_in(&mut self, of: u8) -> bool {
        self.byte() % of == of - 1
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A number that is often small, often at an edge, and sometimes anything.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => u64::from(small),
            200..=209 => u64::MAX - u64::from(self.byte()),
            210..=219 => u64::from(u32::MAX).wrapping_add(u64::from(self.byte())).wrapping_sub(128),
            220..=229 => 1 << (self.byte() % 64),
            _ => u64::from_be_bytes(self.array()),
        }
    }

    /// `N` bytes, zeros where there are no more.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = N.min(self.0.len());
        array[..taken].copy_from_slice(&self.0[..taken]);
        self.0 = &self.0[taken..];
        array
    }

    /// Up to `len_max` bytes, as many as a byte before them says.
    pub fn bytes(&mut self, len_max: usize) -> &'a [u8] {
        let len = self.below(len_max.min(255) + 1).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    /// All that is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }
}
