//! What imported keys look like: whether a credential that is neither ours by its prefix nor a token is worth a look-up.

use arc_swap::ArcSwapOption;

use crate::auth::credential::CREDENTIAL_MAX;
use crate::store::KeyForm;

/// The forms as a process knows them now, swapped whole. Forms are only ever added: one too many costs a look-up of
/// junk, one too few refuses a good key.
#[derive(Debug, Default)]
pub(super) struct Forms(ArcSwapOption<Set>);

impl Forms {
    /// Whether an imported key may look like `word`. Before the forms were first read, any may.
    pub(super) fn fit(&self, word: &str) -> bool {
        word.len() <= CREDENTIAL_MAX && self.0.load().as_ref().is_none_or(|set| set.fits(word))
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
        let length = u32::try_from(word.len()).ok();
        let prefixes = self.prefixes.iter().map_while(|end| word.get(..*end));
        prefixes.into_iter().any(|prefix| self.holds(None, prefix) || self.holds(length, prefix))
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
