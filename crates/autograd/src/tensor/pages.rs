//! Memory of large arrays, in pages of megabytes where the system has them: fewer of them to be handed out and cleared, and looked up.

use std::marker::PhantomData;

use memmap2::MmapMut;

use crate::real::Real;

/// Arrays of so many bytes and more are mapped; NumPy draws the line here, too. Elsewhere than on Linux nothing would be gained.
const LARGE: usize = if cfg!(target_os = "linux") { 4 << 20 } else { usize::MAX };

/// Elements in memory that was asked of the system for them alone, and goes back to it: what the system was told about the pages does not
/// outlive them, as it would in memory of the allocator.
pub(super) struct Pages<T> {
    map: MmapMut,
    /// How many elements are in use.
    len: usize,
    of: PhantomData<T>,
}

impl<T: Real> Pages<T> {
    /// `n` zeros, if they are many, and the system has the memory.
    #[cold]
    pub(super) fn of_zeros(n: usize) -> Option<Self> {
        let bytes = n.checked_mul(size_of::<T>()).filter(|&bytes| bytes >= LARGE)?;
        let map = MmapMut::map_anon(bytes).ok()?;
        // A system without such pages says so, and gives others.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Some(Pages { map, len: n, of: PhantomData })
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &T::of_bytes(&self.map)[..self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut T::of_bytes_mut(&mut self.map)[..self.len]
    }

    pub(super) fn capacity(&self) -> usize {
        self.map.len() / size_of::<T>()
    }

    /// Makes it `n` elements long, of what the memory holds, or as long as there is room.
    pub(super) fn set_len(&mut self, n: usize) {
        self.len = n.min(self.capacity());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn large_arrays_are_mapped_and_hold_what_is_written() {
        assert!(Pages::<f32>::of_zeros(LARGE / 4 - 1).is_none());
        let n = LARGE / 4 + 5;
        let mut pages = Pages::<f32>::of_zeros(n).unwrap();
        assert_eq!((pages.as_slice().len(), pages.capacity()), (n, n));
        assert!(pages.as_slice().iter().all(|&v| v == 0.0));
        pages.as_mut_slice()[n - 1] = 7.0;
        pages.set_len(n - 1);
        assert_eq!(pages.as_slice().len(), n - 1);
        pages.set_len(n + 100);
        assert_eq!(pages.as_slice().last(), Some(&7.0));
    }

    #[test]
    fn what_no_system_has_is_refused() {
        assert!(Pages::<f64>::of_zeros(usize::MAX).is_none());
        assert!(Pages::<f64>::of_zeros(usize::MAX / 16).is_none());
    }
}
