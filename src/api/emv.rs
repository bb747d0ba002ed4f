//! The codes of an EMV 3-D Secure AReq that bear on a challenge: one enum a field, since the same code
//! means different things in different fields (STANDARDS, section 3).
//!
//! A code that we have not heard of is unknown and told as such, never an error.

/// Declares a field's codes: name of the field, then code and word of each.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident of $field:literal { $($variant:ident = $code:literal, $word:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $word] $variant,)+
            /// A code that we have not heard of.
            Unknown,
        }

        impl $name {
            /// The field's name in the standard.
            pub const FIELD: &'static str = $field;

            /// The meaning of a code.
            pub fn read(code: &str) -> Self {
                match code { $($code => Self::$variant,)+ _ => Self::Unknown }
            }

            /// What it means, in words.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ Self::Unknown => "unknown" }
            }

            /// Whether we have not heard of the code.
            pub fn is_unknown(self) -> bool {
                self == Self::Unknown
            }
        }
    };
}

codes! {
    /// What the merchant wants of a challenge.
    ChallengeInd of "threeDSRequestorChallengeInd" {
        NoPreference = "01", "no_preference";
        NoChallenge = "02", "no_challenge";
        Wanted = "03", "challenge_wanted";
        Mandated = "04", "challenge_mandated";
        RiskAnalysed = "05", "risk_analysed";
        DataShare = "06", "data_share_only";
        AlreadyDone = "07", "authentication_already_performed";
        TrustList = "08", "trust_list_exemption";
        TrustPrompt = "09", "challenge_with_trust_list_prompt";
        LowValue = "10", "low_value";
        Corporate = "11", "secure_corporate";
        DevicePrompt = "12", "challenge_with_device_binding_prompt";
        IssuerRequested = "13", "issuer_requested";
        MerchantInitiated = "14", "merchant_initiated";
    }
}
codes! {
    /// What an authentication is for.
    AuthenticationInd of "threeDSRequestorAuthenticationInd" {
        Payment = "01", "payment";
        Recurring = "02", "recurring";
        Instalment = "03", "instalment";
        AddCard = "04", "add_card";
        MaintainCard = "05", "maintain_card";
        TokenVerification = "06", "token_verification";
        BillingAgreement = "07", "billing_agreement";
        SplitShipment = "08", "split_shipment";
        DelayedShipment = "09", "delayed_shipment";
        SplitPayment = "10", "split_payment";
    }
}
codes! {
    /// Why the merchant asks without the cardholder.
    ThreeRiInd of "threeRIInd" {
        Recurring = "01", "recurring";
        Instalment = "02", "instalment";
        AddCard = "03", "add_card";
        MaintainCard = "04", "maintain_card";
        AccountVerification = "05", "account_verification";
        SplitShipment = "06", "split_or_delayed_shipment";
        TopUp = "07", "top_up";
        MailOrder = "08", "mail_order";
        TelephoneOrder = "09", "telephone_order";
        TrustListCheck = "10", "trust_list_check";
        Other = "11", "other";
        BillingAgreement = "12", "billing_agreement";
        DeviceBinding = "13", "device_binding_check";
        SecurityCode = "14", "security_code_check";
        Delayed = "15", "delayed_shipment";
        SplitPayment = "16", "split_payment";
        FidoDeleted = "17", "fido_credential_deleted";
        FidoRegistered = "18", "fido_credential_registered";
        DecoupledFallback = "19", "decoupled_fallback";
    }
}
codes! {
    /// What is bought.
    TransType of "transType" {
        Goods = "01", "goods_or_services";
        Cheque = "03", "cheque_acceptance";
        AccountFunding = "10", "account_funding";
        QuasiCash = "11", "quasi_cash";
        Prepaid = "28", "prepaid_activation_and_load";
    }
}
codes! {
    /// Whether money is asked for.
    MessageCategory of "messageCategory" {
        Payment = "01", "payment";
        NonPayment = "02", "non_payment";
        Insights = "80", "insights";
    }
}
codes! {
    /// Where the cardholder sits.
    DeviceChannel of "deviceChannel" {
        App = "01", "app";
        Browser = "02", "browser";
        ThreeRi = "03", "3ri";
    }
}
codes! {
    /// `acctInfo`: how long the cardholder has had the account with the merchant.
    AccountAge of "acctInfo.chAccAgeInd" {
        None = "01", "no_account";
        ThisTime = "02", "this_transaction";
        Days30 = "03", "less_than_30_days";
        Days60 = "04", "30_to_60_days";
        Longer = "05", "more_than_60_days";
    }
}
codes! {
    /// `acctInfo`: how long ago the account with the merchant was changed.
    AccountChange of "acctInfo.chAccChangeInd" {
        ThisTime = "01", "this_transaction";
        Days30 = "02", "less_than_30_days";
        Days60 = "03", "30_to_60_days";
        Longer = "04", "more_than_60_days";
    }
}
codes! {
    /// `acctInfo`: how long ago the account's password was changed.
    PasswordChange of "acctInfo.chAccPwChangeInd" {
        Never = "01", "no_change";
        ThisTime = "02", "this_transaction";
        Days30 = "03", "less_than_30_days";
        Days60 = "04", "30_to_60_days";
        Longer = "05", "more_than_60_days";
    }
}
codes! {
    /// `acctInfo`: how long the card has been enrolled in the account.
    PaymentAccount of "acctInfo.paymentAccInd" {
        Guest = "01", "guest";
        ThisTime = "02", "this_transaction";
        Days30 = "03", "less_than_30_days";
        Days60 = "04", "30_to_60_days";
        Longer = "05", "more_than_60_days";
    }
}
codes! {
    /// `acctInfo`: when the shipping address was used first.
    ShipAddress of "acctInfo.shipAddressUsageInd" {
        ThisTime = "01", "this_transaction";
        Days30 = "02", "less_than_30_days";
        Days60 = "03", "30_to_60_days";
        Longer = "04", "more_than_60_days";
    }
}
codes! {
    /// `acctInfo`: whether the merchant has seen suspicious activity on the account.
    Suspicious of "acctInfo.suspiciousAccActivity" {
        None = "01", "none";
        Observed = "02", "observed";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_code_means_another_thing_in_another_field() {
        assert_eq!(AccountAge::read("02"), AccountAge::ThisTime);
        assert_eq!(AccountChange::read("02"), AccountChange::Days30);
        assert_eq!(Suspicious::read("02"), Suspicious::Observed);
        assert_eq!(TransType::read("11").word(), "quasi_cash");
        assert_eq!(ChallengeInd::read("11").word(), "secure_corporate");
    }

    #[test]
    fn a_code_that_we_have_not_heard_of_is_unknown() {
        for code in ["", "99", "1", " 01"] {
            assert!(ChallengeInd::read(code).is_unknown());
            assert!(MessageCategory::read(code).is_unknown());
        }
    }
}
