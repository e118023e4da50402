//! What imported keys look like: whether a credential that is neither ours by its prefix nor a token is worth a look-up.

use arc_swap::ArcSwapOption;

use crate::auth::credential::CREDENTIAL_MAX;
use crate::store::KeyForm;

/// A key with fewer bytes than this beyond its prefix might be guessed by somebody who is let try: 20 digits are 66 bits.
const UNGUESSABLE: usize = 20;

/// The forms as a process knows them now, swapped whole. Forms are only ever added: one too many costs a look-up of
/// junk, one too few refuses a good key.
#[derive(Debug, Default)]
pub(super) struct Forms(ArcSwapOption<Set>);

impl Forms {
    /// Whether an imported key may look like `word`. Before the forms were first read, any may.
    pub(super) fn fit(&self, word: &str) -> bool {
        word.len() <= CREDENTIAL_MAX && self.0.load().as_ref().is_none_or(|set| set.fits(word))
    }

    /// Whether an imported key that looks like `word` is so short that it might be guessed.
    pub(super) fn may_be_guessed(&self, word: &str) -> bool {
        let prefix = self.0.load().as_ref().map_or(0, |set| set.prefix(word));
        word.len().saturating_sub(prefix) < UNGUESSABLE
    }

    /// Adds what the store holds. Nobody can tell from a reading which forms were added here since it began, so those
    /// that are known stay.
    pub(super) fn read(&self, forms: &[KeyForm]) {
        self.0.rcu(|known| match known {
            Some(set) if set.holds_all(forms) => Some(set.clone()),
            Some(set) => Some(set.with(forms).into()),
            None => Some(Set::default().with(forms).into()),
        });
    }

    /// Adds what was just imported. Before the first reading there is nothing to add to, and nothing to refuse by.
    pub(super) fn add(&self, forms: &[KeyForm]) {
        if self.0.load().is_some() {
            self.read(forms);
        }
    }
}

/// Forms in an order in which any is found in a few steps: an import may bring one a line.
#[derive(Clone, Debug, Default)]
struct Set {
    /// By length, `None` first, then by prefix.
    forms: Box<[Form]>,
    /// How long prefixes are.
    prefixes: Box<[usize]>,
}

type Form = (Option<u32>, Box<str>);

impl Set {
    fn with(&self, more: &[KeyForm]) -> Self {
        let more = more.iter().map(|form| (form.length, form.prefix.as_str().into()));
        let mut forms: Vec<Form> = self.forms.iter().cloned().chain(more).collect();
        forms.sort_unstable();
        forms.dedup();
        let mut prefixes: Vec<usize> = forms.iter().map(|(_, prefix)| prefix.len()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Self { forms: forms.into(), prefixes: prefixes.into() }
    }

    fn holds_all(&self, forms: &[KeyForm]) -> bool {
        forms.iter().all(|form| self.holds(form.length, &form.prefix))
    }

    fn holds(&self, length: Option<u32>, prefix: &str) -> bool {
        self.forms.binary_search_by(|(known, text)| (*known, &**text).cmp(&(length, prefix))).is_ok()
    }

    fn fits(&self, word: &str) -> bool {
        self.fitting(word).next().is_some()
    }

    /// How long the longest prefix is of those that fit.
    fn prefix(&self, word: &str) -> usize {
        self.fitting(word).last().map_or(0, str::len)
    }

    /// The prefixes of the forms that fit, the shortest first.
    fn fitting<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        let length = u32::try_from(word.len()).ok();
        let prefixes = self.prefixes.iter().map_while(|end| word.get(..*end));
        prefixes.filter(move |prefix| self.holds(None, prefix) || self.holds(length, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(prefix: &str, length: Option<u32>) -> KeyForm {
        KeyForm { prefix: prefix.to_owned(), length }
    }

    fn forms(all: &[KeyForm]) -> Forms {
        let forms = Forms::default();
        forms.read(all);
        forms
    }

    #[test]
    fn a_key_fits_by_its_prefix_and_its_length() {
        let known = forms(&[form("acme-", Some(9)), form("old_", None), form("", Some(3))]);
        for (word, fits) in [
            ("acme-1234", true),
            ("acme-123", false),
            ("acme-12345", false),
            ("Acme-1234", false),
            ("old_", true),
            ("old_whatever", true),
            ("ol", false),
            ("abc", true),
            ("abcd", false),
            ("", false),
            ("äb", true),
            ("oldä", false),
        ] {
            assert_eq!(known.fit(word), fits, "{word}");
        }
        assert!(forms(&[form("", None)]).fit(&"x".repeat(CREDENTIAL_MAX)));
        assert!(!forms(&[form("", None)]).fit(&"x".repeat(CREDENTIAL_MAX + 1)), "longer than any credential");
    }

    #[test]
    fn what_is_short_beyond_its_prefix_may_be_guessed() {
        let known = forms(&[form("", None), form("a-long-and-well-known-prefix-", None)]);
        for (word, guessable) in [
            ("1234567890123456789", true),
            ("12345678901234567890", false),
            ("a-long-and-well-known-prefix-1234567890123456789", true),
            ("a-long-and-well-known-prefix-12345678901234567890", false),
        ] {
            assert_eq!(known.may_be_guessed(word), guessable, "{word}");
        }
        assert!(Forms::default().may_be_guessed("1234567890123456789"));
    }

    #[test]
    fn until_they_were_read_nothing_is_refused_for_its_form() {
        let unread = Forms::default();
        unread.add(&[form("acme-", None)]);
        assert!(unread.fit("junk"));
        unread.read(&[]);
        assert!(!unread.fit("junk") && !unread.fit("acme-1"));
    }

    #[test]
    fn what_was_added_outlives_a_reading_that_began_before() {
        let known = forms(&[]);
        known.add(&[form("acme-", None)]);
        known.read(&[form("old_", None)]);
        assert!(known.fit("acme-1") && known.fit("old_1") && !known.fit("junk"));
        known.read(&[]);
        assert!(known.fit("acme-1") && known.fit("old_1"));
    }

    /// An import may declare a prefix of its own for each key.
    #[test]
    fn of_many_forms_each_is_found() {
        let many: Vec<_> = (0..10_000).map(|number| form(&format!("{number:05}"), Some(9))).collect();
        let known = forms(&many);
        assert!((0..10_000).all(|number| known.fit(&format!("{number:05}abcd"))));
        assert!(!known.fit("10000abcd") && !known.fit("00000abc"));
        let set = known.0.load_full().unwrap();
        assert_eq!(set.prefixes[..], [5], "one search for each length of prefix, not for each form");
    }
}
