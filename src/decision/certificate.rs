//! Requests without a credential in their fields, whose connection's client showed a certificate.

use std::sync::Arc;

use super::{Decision, Visit};
use crate::auth::certificate::{Certificate, Claim, Shown, Standing, StandsFor};
use crate::auth::principal::Method as Proof;
use crate::auth::refusal::Refusal;
use crate::auth::token::HashedToken;
use crate::authenticator::{Front, Question, Valid, Verdict};

impl Decision {
    /// Validates the certificate `shown`. Whom it stands for is asked of the configuration each time.
    ///
    /// # Errors
    /// When it does not hold, or stands for nobody.
    pub(super) async fn certified(
        &self,
        shown: Shown<'_>,
        front: &Front,
        visit: Visit,
    ) -> Result<Arc<Valid>, Refusal> {
        let claim = self.believed(shown)?;
        let digest = claim.digest();
        let verdict = match front.cached(&digest, visit.tick, visit.wall) {
            Some(verdict) => verdict,
            // Boxed, lest every request keep room for it.
            None => Box::pin(self.look_claim_up(digest, claim, front, visit)).await,
        };
        verdict.map_err(|denied| denied.told(Proof::Certificate))
    }

    /// Whether the certificate `shown` still stands for the account with which it was validated as `digest`.
    ///
    /// # Errors
    /// When it does not.
    pub fn stands_by(&self, shown: Shown<'_>, digest: &HashedToken) -> Result<(), Refusal> {
        let same = self.believed(shown)?.digest() == *digest;
        if same { Ok(()) } else { Err(Refusal::UnknownCertificate) }
    }

    fn believed(&self, shown: Shown<'_>) -> Result<Claim, Refusal> {
        match shown.standing {
            Standing::Good => self.claim(shown.certificate),
            Standing::Lost => Err(Refusal::Revoked { of: Proof::Certificate }),
        }
    }

    /// The account that a certificate stands for.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(super) fn claim(&self, certificate: &Certificate) -> Result<Claim, Refusal> {
        match self.certificates.of(certificate) {
            StandsFor::Account(account) => Ok(certificate.claim(account)),
            StandsFor::Nobody => Err(Refusal::UnknownCertificate),
            StandsFor::Several => Err(Refusal::AmbiguousCertificate),
        }
    }

    /// Whoever shares an address with those who send junk is looked up all the same: his certificate was verified.
    async fn look_claim_up(&self, digest: HashedToken, claim: Claim, front: &Front, visit: Visit) -> Verdict {
        let question = Question::certificate(digest, claim);
        front
            .load(match self.failures {
                Some(limit) => question.asked_for(visit.client, limit),
                None => question,
            })
            .await
    }
}
