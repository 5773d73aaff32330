//! An array with indices, as slow and obvious as can be.

/// Numbers in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nd {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f64>,
}

/// All indices of a shape, in row-major order.
pub(super) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    (0..shape.iter().product()).map(move |position| {
        let (mut rest, mut index) = (position, vec![0; shape.len()]);
        for axis in (0..shape.len()).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        index
    })
}

/// An axis that may be counted from the end.
pub(super) fn axis(axis: isize, rank: usize) -> usize {
    if axis < 0 { rank - axis.unsigned_abs() } else { axis.unsigned_abs() }
}

/// The shape to which both stretch.
pub(super) fn common(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], i: usize| if i + shape.len() < rank { 1 } else { shape[i + shape.len() - rank] };
    (0..rank).map(|i| if length(a, i) == 1 { length(b, i) } else { length(a, i) }).collect()
}

/// `index` with another position on one axis.
pub(super) fn with(index: &[usize], axis: usize, position: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = position;
    index
}

impl Nd {
    pub(super) fn from_fn(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Nd {
        Nd { shape: shape.to_vec(), data: indices(shape).map(|index| f(&index)).collect() }
    }

    pub(super) fn scalar(value: f64) -> Nd {
        Nd { shape: vec![], data: vec![value] }
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    fn position(&self, index: &[usize]) -> usize {
        assert_eq!(index.len(), self.rank());
        index.iter().zip(&self.shape).fold(0, |position, (i, length)| {
            assert!(i < length, "{index:?} lies outside {:?}", self.shape);
            position * length + i
        })
    }

    pub(super) fn at(&self, index: &[usize]) -> f64 {
        self.data[self.position(index)]
    }

    pub(super) fn add_at(&mut self, index: &[usize], value: f64) {
        let position = self.position(index);
        self.data[position] += value;
    }

    /// The element at a signed index, or 0 outside.
    pub(super) fn padded(&self, index: &[isize]) -> f64 {
        let inside = index.iter().zip(&self.shape).all(|(i, length)| *i >= 0 && i.unsigned_abs() < *length);
        if inside { self.at(&index.iter().map(|i| i.unsigned_abs()).collect::<Vec<_>>()) } else { 0.0 }
    }

    /// The same elements in the same order.
    pub(super) fn reshape(&self, shape: &[usize]) -> Nd {
        assert_eq!(shape.iter().product::<usize>(), self.data.len());
        Nd { shape: shape.to_vec(), data: self.data.clone() }
    }

    /// Repeated along axes of length 1, and in front.
    pub(super) fn stretch(&self, shape: &[usize]) -> Nd {
        let missing = shape.len() - self.rank();
        Nd::from_fn(shape, |index| {
            self.at(&index[missing..].iter().zip(&self.shape).map(|(i, length)| if *length == 1 { 0 } else { *i }).collect::<Vec<_>>())
        })
    }

    pub(super) fn map(&self, mut f: impl FnMut(f64) -> f64) -> Nd {
        Nd::from_fn(&self.shape, |index| f(self.at(index)))
    }

    pub(super) fn zip(&self, other: &Nd, f: impl Fn(f64, f64) -> f64) -> Nd {
        let shape = common(&self.shape, &other.shape);
        let (a, b) = (self.stretch(&shape), other.stretch(&shape));
        Nd::from_fn(&shape, |index| f(a.at(index), b.at(index)))
    }

    /// A number for all elements that differ in `axes` alone.
    pub(super) fn reduce(&self, axes: &[usize], keepdim: bool, f: impl Fn(&[f64]) -> f64) -> Nd {
        let shape: Vec<_> = (0..self.rank()).map(|k| if axes.contains(&k) { 1 } else { self.shape[k] }).collect();
        let kept = Nd::from_fn(&shape, |at| {
            let same = |index: &Vec<usize>| (0..self.rank()).all(|k| axes.contains(&k) || index[k] == at[k]);
            f(&indices(&self.shape).filter(same).map(|index| self.at(&index)).collect::<Vec<_>>())
        });
        let removed: Vec<_> = (0..self.rank()).filter(|k| !axes.contains(k)).map(|k| self.shape[k]).collect();
        if keepdim { kept } else { kept.reshape(&removed) }
    }

    /// Numbers in place of those along an axis, as many or others.
    pub(super) fn along(&self, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Nd {
        let line = |index: &[usize]| -> Vec<f64> { (0..self.shape[axis]).map(|i| self.at(&with(index, axis, i))).collect() };
        let length = f(&vec![0.0; self.shape[axis]]).len();
        Nd::from_fn(&with(&self.shape, axis, length), |index| f(&line(index))[index[axis]])
    }

    /// For each position on an axis, the one from which its element comes.
    pub(super) fn choose(&self, axis: usize, positions: &[usize]) -> Nd {
        self.along(axis, |line| positions.iter().map(|i| line[*i]).collect())
    }

    /// Axis `i` of the result is axis `order[i]`.
    pub(super) fn permute(&self, order: &[usize]) -> Nd {
        let shape: Vec<_> = order.iter().map(|k| self.shape[*k]).collect();
        Nd::from_fn(&shape, |index| {
            let mut from = vec![0; self.rank()];
            for (i, k) in order.iter().enumerate() {
                from[*k] = index[i];
            }
            self.at(&from)
        })
    }

    /// Two axes exchanged.
    pub(super) fn transpose(&self, a: usize, b: usize) -> Nd {
        let mut order: Vec<_> = (0..self.rank()).collect();
        order.swap(a, b);
        self.permute(&order)
    }
}
