//! How windows move: the options of convolution and pooling.

/// One length for all axes, as in `2`, or one for each, as in `[2, 3]`.
pub trait PerAxis<const D: usize> {
    /// One length for each axis.
    fn per_axis(self) -> [usize; D];
}

impl<const D: usize> PerAxis<D> for usize {
    fn per_axis(self) -> [usize; D] {
        [self; D]
    }
}

impl<const D: usize> PerAxis<D> for [usize; D] {
    fn per_axis(self) -> [usize; D] {
        self
    }
}

/// How the windows of a convolution move along `D` axes: by default with stride 1, no padding, dilation 1, in one group.
///
/// ```
/// use autograd::Conv;
/// let conv: Conv<2> = Conv::default().stride(2).padding([1, 0]).groups(4);
/// assert_eq!((conv.stride, conv.padding, conv.dilation, conv.groups), ([2, 2], [1, 0], [1, 1], 4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Conv<const D: usize> {
    /// The distance from one window to the next.
    pub stride: [usize; D],
    /// How many zeros stand before and after the elements.
    pub padding: [usize; D],
    /// The distance from one position in a window to the next.
    pub dilation: [usize; D],
    /// Into how many groups the channels are divided, each convolved alone.
    pub groups: usize,
}

impl<const D: usize> Default for Conv<D> {
    fn default() -> Self {
        Conv { stride: [1; D], padding: [0; D], dilation: [1; D], groups: 1 }
    }
}

impl<const D: usize> Conv<D> {
    /// With this distance from one window to the next.
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Conv { stride: stride.per_axis(), ..self }
    }

    /// With so many zeros before and after the elements.
    pub fn padding(self, padding: impl PerAxis<D>) -> Self {
        Conv { padding: padding.per_axis(), ..self }
    }

    /// With this distance from one position in a window to the next.
    pub fn dilation(self, dilation: impl PerAxis<D>) -> Self {
        Conv { dilation: dilation.per_axis(), ..self }
    }

    /// With the channels divided into so many groups, each convolved alone.
    pub fn groups(self, groups: usize) -> Self {
        Conv { groups, ..self }
    }

    /// For a transposed convolution whose result is so much longer than the shortest that the convolution would take.
    pub fn output_padding(self, output_padding: impl PerAxis<D>) -> ConvTranspose<D> {
        ConvTranspose { conv: self, output_padding: output_padding.per_axis() }
    }
}

/// The options of a transposed convolution; a [`Conv`] stands for those without output padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct ConvTranspose<const D: usize> {
    /// The convolution that is transposed.
    pub conv: Conv<D>,
    /// How much longer than the shortest possible the result is.
    pub output_padding: [usize; D],
}

impl<const D: usize> From<Conv<D>> for ConvTranspose<D> {
    fn from(conv: Conv<D>) -> Self {
        conv.output_padding([0; D])
    }
}

/// How the windows of a pool move along `D` axes: by default side by side, without padding. A size alone stands for those.
///
/// ```
/// use autograd::Pool;
/// let pool: Pool<2> = Pool::new(3).stride(2).padding(1);
/// assert_eq!((pool.size, pool.stride, pool.padding), ([3, 3], [2, 2], [1, 1]));
/// assert_eq!(Pool::from([2, 3]).stride, [2, 3]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Pool<const D: usize> {
    /// How many positions a window has.
    pub size: [usize; D],
    /// The distance from one window to the next.
    pub stride: [usize; D],
    /// How many positions stand before and after the elements.
    pub padding: [usize; D],
}

impl<const D: usize> Pool<D> {
    /// Windows of this size, side by side.
    pub fn new(size: impl PerAxis<D>) -> Self {
        let size = size.per_axis();
        Pool { size, stride: size, padding: [0; D] }
    }

    /// With this distance from one window to the next.
    pub fn stride(self, stride: impl PerAxis<D>) -> Self {
        Pool { stride: stride.per_axis(), ..self }
    }

    /// With so many positions before and after the elements.
    pub fn padding(self, padding: impl PerAxis<D>) -> Self {
        Pool { padding: padding.per_axis(), ..self }
    }
}

impl<const D: usize> From<usize> for Pool<D> {
    fn from(size: usize) -> Self {
        Pool::new(size)
    }
}

impl<const D: usize> From<[usize; D]> for Pool<D> {
    fn from(size: [usize; D]) -> Self {
        Pool::new(size)
    }
}
