//! Why a feature is unknown, in words for a decision's `not_available` (promise `fail-visible`).
//!
//! One sentence serves several features; which value is missing is the entry's own `what`.

use crate::engine::features::View;
use crate::engine::vocabulary::Feature;
use crate::expr::Slot;

impl View<'_> {
    /// Why a slot is unknown, in words for `not_available`.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "one sentence serves the rest"
    )]
    pub fn why_unknown(&self, slot: Slot) -> &'static str {
        let Some(feature) = Feature::of_slot(slot) else {
            return "not enough history yet";
        };
        match feature {
            Feature::IpCountry
            | Feature::IpAbroad
            | Feature::IpCountryAccustomed
            | Feature::IpNetworkAccustomed
            | Feature::IpAsn
            | Feature::IpHosting => {
                if self.event.ip.is_none() {
                    "the event gives no address"
                } else if matches!(feature, Feature::IpAsn | Feature::IpHosting) {
                    "no network of this address is known"
                } else {
                    "the address's or the home country is not known"
                }
            }
            Feature::AmountMinor | Feature::Currency if self.purchase.is_some() => {
                "no rate for this currency"
            }
            Feature::AvailableBalanceMinor | Feature::OverBalance => "the event gives no balance",
            Feature::HomeCountry
            | Feature::MerchantAbroad
            | Feature::PhoneAbroad
            | Feature::MerchantCountryAccustomed => "the home country or the other is not known",
            Feature::AmountZ | Feature::AmountTail | Feature::HourShare => "not enough history yet",
            Feature::PhoneLinkAge
            | Feature::PhoneLinkChannel
            | Feature::PhoneReplaced
            | Feature::AppActivationAge
            | Feature::AppActivationAccustomed
            | Feature::CardAge
            | Feature::CardUnblockAge
            | Feature::PresentAge
            | Feature::PresentKm
            | Feature::PresentSpeedKmh => "never seen of this cardholder",
            Feature::Channel
            | Feature::Security
            | Feature::Response
            | Feature::TransStatus
            | Feature::MerchantCountry => "the code is not known",
            _ if self.event.acs_fp.0 != 0 && self.challenge.is_none() => {
                "the challenge was not seen"
            }
            _ => "not given",
        }
    }
}
