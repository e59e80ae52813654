//! The closed lists of words that a report is made of. Each is written the same in the API, the databases and the logs.

/// Declares an enum whose variants have one fixed word each.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// All of them, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// All words, as a sentence needs them.
            pub const WORDS: &str = concat_words!($($word),+);

            /// The word that stands for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word, exactly as written.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
macro_rules! concat_words {
    ($first:literal $(, $rest:literal)*) => { concat!("`", $first, "`" $(, ", `", $rest, "`")*) };
}

words! {
    /// A language of the pages and of what is sent by SMS.
    Language {
        /// Vietnamese.
        Vi = "vi",
        /// English.
        En = "en",
    }
}
words! {
    /// What a file is.
    EvidenceKind {
        /// A photograph or a picture of the screen.
        Jpeg = "jpeg",
        /// A picture of the screen.
        Png = "png",
        /// A recording.
        Mp3 = "mp3",
        /// A recording of a call.
        Amr = "amr",
        /// A video or a recording.
        Mp4 = "mp4",
        /// A document.
        Pdf = "pdf",
    }
}
words! {
    /// How the message came to the reporter.
    Channel {
        /// A text message.
        Sms = "sms",
        /// A voice call.
        Call = "call",
    }
}
words! {
    /// What the report says the message was.
    Category {
        /// Unwanted advertising.
        Spam = "spam",
        /// Fraud, impersonation, phishing.
        Scam = "scam",
        /// A false claim of fact that does harm.
        FakeNews = "fake_news",
    }
}
words! {
    /// What kind of harm a false claim does.
    Harm {
        /// Medicine, epidemics, food.
        Health = "health",
        /// Storms, floods, evacuations.
        Disaster = "disaster",
        /// Banks, currency, markets.
        Finance = "finance",
        /// It pretends to come from an authority.
        ImpersonatedAuthority = "impersonated_authority",
        /// Any other.
        Other = "other",
    }
}
words! {
    /// The way a report came in.
    Source {
        /// One report a request.
        CarrierApi = "carrier_api",
        /// Many reports a request.
        CarrierBatch = "carrier_batch",
        /// The SMS a subscriber sent to the reporting number.
        CarrierMo = "carrier_mo",
        /// The citizens' form.
        Web = "web",
    }
}
impl Source {
    /// Whether a retry tells the same time. A subscriber's SMS may be forwarded without one, and then each try has another.
    #[must_use]
    pub const fn tells_time(self) -> bool {
        match self {
            Self::CarrierApi | Self::CarrierBatch | Self::Web => true,
            Self::CarrierMo => false,
        }
    }
}
words! {
    /// How the reporter's number was proven, weakest first.
    Proof {
        /// Not at all.
        None = "none",
        /// By a carrier that does not attest numbers of this prefix.
        Foreign = "foreign",
        /// By the carrier whose subscriber it is.
        Carrier = "carrier",
        /// By the mobile network the phone is on.
        Network = "network",
        /// By a code sent to the number.
        Otp = "otp",
    }
}
words! {
    /// What a row of the journal records.
    EventKind {
        /// A report as it was received.
        Report = "report",
        /// A later addition to a report.
        Amendment = "amendment",
        /// The reporter took the report back.
        Withdrawal = "withdrawal",
    }
}
words! {
    /// What became of a report.
    ReportStatus {
        /// In the journal; the builder has not come to it yet.
        Accepted = "accepted",
        /// Counted, in a case or in the figures.
        Counted = "counted",
        /// The same person had said the same within 24 h: linked and shown, no new voice.
        Repeat = "repeat",
        /// The same report id was used for another body; the first one stands.
        Conflict = "conflict",
        /// Its reporter took it back: it counts nowhere, and nothing is kept of it but its id.
        Withdrawn = "withdrawn",
    }
}
words! {
    /// What kind of reason a decision has: the part of it that carriers are told.
    ReasonClass {
        /// What was reported breaks a rule; the only class of a case that is upheld.
        Violation = "violation",
        /// Opinion, criticism, satire: not reportable.
        LawfulExpression = "lawful_expression",
        /// What was reported could not be shown.
        NotProven = "not_proven",
        /// The sender was forged, or somebody else was meant.
        WrongSender = "wrong_sender",
        /// The recipients had agreed to be written to or called.
        Consented = "consented",
        /// None of these.
        Other = "other",
    }
}
words! {
    /// Where a case stands.
    CaseStatus {
        /// It takes further reports and waits for a decision.
        Open = "open",
        /// A reviewer found the reports right.
        Upheld = "upheld",
        /// A reviewer dismissed them.
        Dismissed = "dismissed",
    }
}
