//! [`Secret`]: the one type that holds key bytes.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// `N` secret bytes on the heap, erased on drop.
///
/// It is filled in place and never copied: no `Clone`, no `PartialEq`, no serialisation; `Debug` prints no byte of it. Key bytes are read
/// through [`Secret::expose`] only, so that every use can be found.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Makes a secret that `fill` writes in place.
    pub fn init_with(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        secret
    }

    /// As [`Secret::init_with`], for a `fill` that can fail.
    ///
    /// # Errors
    /// Whatever `fill` returns; what it had written is erased.
    pub fn try_init_with<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Whether two secrets are the same, in constant time.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_no_byte() {
        let secret = Secret::<4>::init_with(|bytes| bytes.copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn same_bytes_are_the_same_secret() {
        let one = || Secret::<2>::init_with(|bytes| bytes.fill(1));
        assert!(one().is_same(&one()));
        assert!(!one().is_same(&Secret::init_with(|bytes| bytes.fill(2))));
    }
}
