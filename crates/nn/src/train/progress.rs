//! The progress bar: epoch, loss and accuracy; nothing where the error output is no terminal, or without the feature `progress`.

use super::Epoch;

/// A bar over all steps of all epochs.
#[cfg(feature = "progress")]
pub(super) struct Progress {
    bar: indicatif::ProgressBar,
    epochs: usize,
}

#[cfg(feature = "progress")]
impl Progress {
    pub(super) fn new(shown: bool, epochs: usize, steps: usize) -> Self {
        // All of it fits into 60 columns: a line that wraps cannot be drawn over. The bar hides itself where the error output is no terminal.
        let bar = if shown { indicatif::ProgressBar::new(epochs.saturating_mul(steps) as u64) } else { indicatif::ProgressBar::hidden() };
        if let Ok(style) = indicatif::ProgressStyle::with_template("{bar:10} {msg} {elapsed}") {
            bar.set_style(style);
        }
        Progress { bar, epochs }
    }

    pub(super) fn step(&self, epoch: usize, so_far: &Epoch) {
        if !self.bar.is_hidden() {
            let accuracy = so_far.accuracy.map(|share| format!(" accuracy {share:.4}")).unwrap_or_default();
            self.bar.set_message(format!("epoch {epoch}/{} loss {:.4}{accuracy}", self.epochs, so_far.loss));
        }
        self.bar.inc(1);
    }

    pub(super) fn finish(&self) {
        self.bar.finish();
    }
}

/// Nothing.
#[cfg(not(feature = "progress"))]
pub(super) struct Progress;

#[cfg(not(feature = "progress"))]
#[allow(clippy::unused_self)]
impl Progress {
    pub(super) fn new(_shown: bool, _epochs: usize, _steps: usize) -> Self {
        Progress
    }
    pub(super) fn step(&self, _epoch: usize, _so_far: &Epoch) {}
    pub(super) fn finish(&self) {}
}
