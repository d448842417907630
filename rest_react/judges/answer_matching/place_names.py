"""Names of countries, and of states and provinces of some, to distinguish "Austin, Texas" from "Austin, Dallas".

    >>> place_level("Paris"), place_level("Texas"), place_level("the United States")
    (0, 1, 2)

Not here: cities and smaller regions. A name that is not in the lists has level 0.
"""

from rest_react.judges.answer_matching.canonical_text import canonicalise

_COUNTRIES = """
Afghanistan, Albania, Algeria, Andorra, Angola, Argentina, Armenia, Australia, Austria, Azerbaijan, Bahamas,
Bahrain, Bangladesh, Barbados, Belarus, Belgium, Belize, Benin, Bhutan, Bolivia, Bosnia and Herzegovina, Bosnia,
Botswana, Brazil, Brunei, Bulgaria, Burkina Faso, Burundi, Cambodia, Cameroon, Canada, Cape Verde, Central African
Republic, Chad, Chile, China, Colombia, Comoros, Congo, Democratic Republic of the Congo, Costa Rica, Croatia, Cuba,
Cyprus, Czech Republic, Czechia, Czechoslovakia, Denmark, Djibouti, Dominica, Dominican Republic, East Timor,
Ecuador, Egypt, El Salvador, Equatorial Guinea, Eritrea, Estonia, Eswatini, Ethiopia, Fiji, Finland, France, Gabon,
Gambia, Germany, Ghana, Greece, Grenada, Guatemala, Guinea, Guyana, Haiti, Honduras, Hong Kong, Hungary, Iceland,
India, Indonesia, Iran, Iraq, Ireland, Israel, Italy, Ivory Coast, Jamaica, Japan, Jordan, Kazakhstan, Kenya,
Kiribati, Kosovo, Kuwait, Kyrgyzstan, Laos, Latvia, Lebanon, Lesotho, Liberia, Libya, Liechtenstein, Lithuania,
Luxembourg, Madagascar, Malawi, Malaysia, Maldives, Mali, Malta, Mauritania, Mauritius, Mexico, Micronesia, Moldova,
Monaco, Mongolia, Montenegro, Morocco, Mozambique, Myanmar, Burma, Namibia, Nauru, Nepal, Netherlands, New Zealand,
Nicaragua, Niger, Nigeria, North Korea, North Macedonia, Norway, Oman, Pakistan, Palau, Palestine, Panama, Papua New
Guinea, Paraguay, Peru, Philippines, Poland, Portugal, Puerto Rico, Qatar, Romania, Russia, Rwanda, Samoa, San
Marino, Saudi Arabia, Senegal, Serbia, Seychelles, Sierra Leone, Singapore, Slovakia, Slovenia, Solomon Islands,
Somalia, South Africa, South Korea, Korea, South Sudan, Soviet Union, Spain, Sri Lanka, Sudan, Suriname, Sweden,
Switzerland, Syria, Taiwan, Tajikistan, Tanzania, Thailand, Togo, Tonga, Trinidad and Tobago, Tunisia, Turkey,
Turkmenistan, Tuvalu, Uganda, Ukraine, United Arab Emirates, UAE, United Kingdom, UK, U.K., Great Britain, Britain,
United States, United States of America, USA, U.S.A., US, U.S., America, USSR, Uruguay, Uzbekistan, Vanuatu, Vatican
City, Venezuela, Vietnam, Yemen, Yugoslavia, Zambia, Zimbabwe
"""
_STATES = """
Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Georgia, Hawaii, Idaho,
Illinois, Indiana, Iowa, Kansas, Kentucky, Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota,
Mississippi, Missouri, Montana, Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina,
North Dakota, Ohio, Oklahoma, Oregon, Pennsylvania, Rhode Island, South Carolina, South Dakota, Tennessee, Texas,
Utah, Vermont, Virginia, Washington, West Virginia, Wisconsin, Wyoming, D.C., DC, District of Columbia, AL, AK, AZ,
AR, CA, CO, CT, FL, GA, IL, KS, KY, LA, MA, MD, MI, MN, MO, NC, NE, NH, NJ, NM, NV, NY, OH, PA, RI, SC, TN, TX, UT,
VA, VT, WA, WI, WV, WY, England, Scotland, Wales, Northern Ireland, Ontario, Quebec, British Columbia, Alberta,
Manitoba, Saskatchewan, Nova Scotia, New Brunswick, Newfoundland, New South Wales, Victoria, Queensland, Tasmania,
South Australia, Western Australia, Bavaria, Saxony, Hesse, Catalonia, Andalusia, Tuscany, Sicily, Lombardy,
Normandy, Brittany, Punjab, Kerala, Tamil Nadu, Maharashtra, Gujarat, West Bengal, Karnataka
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(canonicalise(name) for name in text.split(","))


_LEVELS = {1: _names(_STATES), 2: _names(_COUNTRIES)}


def place_level(name: str) -> int:
    """2 for a country, 1 for a state or province, 0 for any other text."""
    canonical = canonicalise(name).removeprefix("the ")
    return next((level for level, names in _LEVELS.items() if canonical in names), 0)
