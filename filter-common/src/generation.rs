//! What stands beside a policy in the maps for people and programs that open the pins: where it came from, names.

/// A name of at most 63 octets of UTF-8, filled up with NUL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct Name([u8; 64]);

impl Name {
    /// The name of an unused slot.
    pub const EMPTY: Self = Self([0; 64]);

    /// The name, or nothing if it is empty, longer than 63 octets or contains NUL.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 63 || text.contains('\0') {
            return None;
        }
        let mut octets = [0; 64];
        octets[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(octets))
    }

    /// The name as text; nothing if the slot is unused or holds something else than a name.
    pub fn as_str(&self) -> Option<&str> {
        let length = self.0.iter().position(|octet| *octet == 0)?;
        core::str::from_utf8(&self.0[..length]).ok().filter(|name| !name.is_empty())
    }
}

/// What a generation was made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct GenerationInfo {
    /// The same as in the generation's [`Settings`](crate::tables::Settings); 0: the slot is unused.
    pub generation: u64,
    /// A set of [`flags`](crate::tables::flags), the same as in the generation's settings.
    pub flags: u32,
    /// How many rules it has.
    pub rules: u32,
    /// When it was published, in seconds since the epoch.
    pub published_at: u64,
    /// How many IPv4 prefixes it has.
    pub prefixes_v4: u32,
    /// How many IPv6 prefixes it has.
    pub prefixes_v6: u32,
    /// How many prefixes the deny list had, over both families.
    pub denied: u32,
    /// Always 0.
    pub reserved: u32,
    /// The path of the policy file, or the end of it.
    pub policy: Name,
}

const _: () = assert!(size_of::<GenerationInfo>() == 40 + 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was() {
        for text in ["kore/sip-udp", "é", &std::string::String::from_iter(["x"; 63])] {
            assert_eq!(Name::new(text).as_ref().and_then(Name::as_str), Some(text));
        }
    }

    #[test]
    fn what_does_not_fit_is_no_name() {
        for text in ["", "a\0b", &std::string::String::from_iter(["x"; 64])] {
            assert_eq!(Name::new(text), None);
        }
        assert_eq!(Name::EMPTY.as_str(), None);
    }
}
