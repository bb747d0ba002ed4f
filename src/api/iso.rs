//! Numbers of ISO 4217 and ISO 3166-1, as EMV 3-D Secure writes them, to the letters that we write.
//!
//! It has the currencies and countries that `domain` knows; a number that stands for none of them is
//! unknown, which is not an error.

/// Three digits and three letters each, by number (ISO 4217 list one, and codes withdrawn since 2018).
const CURRENCIES: &str = "\
    008ALL 012DZD 032ARS 036AUD 044BSD 048BHD 050BDT 051AMD 052BBD 060BMD 064BTN 068BOB 072BWP 084BZD \
    090SBD 096BND 104MMK 108BIF 116KHR 124CAD 132CVE 136KYD 144LKR 152CLP 156CNY 170COP 174KMF 188CRC \
    191HRK 192CUP 203CZK 208DKK 214DOP 222SVC 230ETB 232ERN 238FKP 242FJD 262DJF 270GMD 292GIP 320GTQ \
    324GNF 328GYD 332HTG 340HNL 344HKD 348HUF 352ISK 356INR 360IDR 364IRR 368IQD 376ILS 388JMD 392JPY \
    398KZT 400JOD 404KES 408KPW 410KRW 414KWD 417KGS 418LAK 422LBP 426LSL 430LRD 434LYD 446MOP 454MWK \
    458MYR 462MVR 478MRO 480MUR 484MXN 496MNT 498MDL 504MAD 512OMR 516NAD 524NPR 532ANG 533AWG 548VUV \
    554NZD 558NIO 566NGN 578NOK 586PKR 590PAB 598PGK 600PYG 604PEN 608PHP 634QAR 643RUB 646RWF 654SHP \
    678STD 682SAR 690SCR 694SLL 702SGD 704VND 706SOS 710ZAR 728SSP 748SZL 752SEK 756CHF 760SYP 764THB \
    776TOP 780TTD 784AED 788TND 800UGX 807MKD 818EGP 826GBP 834TZS 840USD 858UYU 860UZS 882WST 886YER \
    901TWD 924ZWG 925SLE 926VED 927UYW 928VES 929MRU 930STN 931CUC 932ZWL 933BYN 934TMT 936GHS 937VEF \
    938SDG 940UYI 941RSD 943MZN 944AZN 946RON 947CHE 948CHW 949TRY 950XAF 951XCD 952XOF 953XPF 967ZMW \
    968SRD 969MGA 970COU 971AFN 972TJS 973AOA 975BGN 976CDF 977BAM 978EUR 979MXV 980UAH 981GEL 984BOV \
    985PLN 986BRL 990CLF 997USN";

/// Three digits and two letters each, by number (ISO 3166-1).
const COUNTRIES: &str = "\
    004AF 008AL 010AQ 012DZ 016AS 020AD 024AO 028AG 031AZ 032AR 036AU 040AT 044BS 048BH 050BD 051AM 052BB \
    056BE 060BM 064BT 068BO 070BA 072BW 074BV 076BR 084BZ 086IO 090SB 092VG 096BN 100BG 104MM 108BI 112BY \
    116KH 120CM 124CA 132CV 136KY 140CF 144LK 148TD 152CL 156CN 158TW 162CX 166CC 170CO 174KM 175YT 178CG \
    180CD 184CK 188CR 191HR 192CU 196CY 203CZ 204BJ 208DK 212DM 214DO 218EC 222SV 226GQ 231ET 232ER 233EE \
    234FO 238FK 239GS 242FJ 246FI 248AX 250FR 254GF 258PF 260TF 262DJ 266GA 268GE 270GM 275PS 276DE 288GH \
    292GI 296KI 300GR 304GL 308GD 312GP 316GU 320GT 324GN 328GY 332HT 334HM 336VA 340HN 344HK 348HU 352IS \
    356IN 360ID 364IR 368IQ 372IE 376IL 380IT 384CI 388JM 392JP 398KZ 400JO 404KE 408KP 410KR 414KW 417KG \
    418LA 422LB 426LS 428LV 430LR 434LY 438LI 440LT 442LU 446MO 450MG 454MW 458MY 462MV 466ML 470MT 474MQ \
    478MR 480MU 484MX 492MC 496MN 498MD 499ME 500MS 504MA 508MZ 512OM 516NA 520NR 524NP 528NL 531CW 533AW \
    534SX 535BQ 540NC 548VU 554NZ 558NI 562NE 566NG 570NU 574NF 578NO 580MP 581UM 583FM 584MH 585PW 586PK \
    591PA 598PG 600PY 604PE 608PH 612PN 616PL 620PT 624GW 626TL 630PR 634QA 638RE 642RO 643RU 646RW 652BL \
    654SH 659KN 660AI 662LC 663MF 666PM 670VC 674SM 678ST 682SA 686SN 688RS 690SC 694SL 702SG 703SK 704VN \
    705SI 706SO 710ZA 716ZW 724ES 728SS 729SD 732EH 740SR 744SJ 748SZ 752SE 756CH 760SY 762TJ 764TH 768TG \
    772TK 776TO 780TT 784AE 788TN 792TR 795TM 796TC 798TV 800UG 804UA 807MK 818EG 826GB 831GG 832JE 833IM \
    834TZ 840US 850VI 854BF 858UY 860UZ 862VE 876WF 882WS 887YE 894ZM";

/// The letters of a currency's number (`208`: `DKK`); nothing for an unknown one.
pub fn currency(number: &str) -> Option<&'static str> {
    find(CURRENCIES, 7, number)
}

/// The letters of a country's number (`208`: `DK`); nothing for an unknown one.
pub fn country(number: &str) -> Option<&'static str> {
    find(COUNTRIES, 6, number)
}

/// Entries are `width` bytes apart and in order of number.
fn find(table: &'static str, width: usize, number: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, table.len().div_ceil(width));
    while low < high {
        let middle = low.midpoint(high);
        let entry = table.get(middle * width..(middle * width + width - 1))?;
        let (found, letters) = entry.split_at_checked(3)?;
        match found.cmp(number) {
            std::cmp::Ordering::Equal => return Some(letters),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::country::Country;
    use crate::domain::currency::Currency;

    #[test]
    fn every_number_stands_for_letters_that_we_know() {
        for (table, width) in [(CURRENCIES, 7), (COUNTRIES, 6)] {
            let mut before = "";
            for entry in table.split(' ') {
                let (number, letters) = entry.split_at(3);
                assert_eq!(entry.len() + 1, width);
                assert!(before < number, "{entry}");
                before = number;
                let known = if width == 7 {
                    Currency::parse(letters).is_some()
                } else {
                    Country::parse(letters).is_some()
                };
                assert!(known, "{entry}");
                assert_eq!(find(table, width, number), Some(letters));
            }
        }
        assert_eq!((currency("208"), country("208")), (Some("DKK"), Some("DK")));
        assert_eq!((currency("978"), country("100")), (Some("EUR"), Some("BG")));
        assert_eq!((currency("999"), country("")), (None, None));
    }
}
