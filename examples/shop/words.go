package shop

// The words that the data is put together from.

var firstNames = []string{
	"Ada", "Amara", "Ana", "Anton", "Aya", "Bela", "Bruno", "Carmen", "Chen", "Clara", "Dario", "Dina", "Elif", "Emil", "Esther", "Farid",
	"Femi", "Greta", "Hana", "Hugo", "Ines", "Ivan", "Jamal", "Jana", "Kai", "Kofi", "Lara", "Leo", "Lina", "Luca", "Maja", "Marco",
	"Mei", "Milan", "Mira", "Nadia", "Nils", "Noor", "Olga", "Omar", "Paula", "Pavel", "Priya", "Rafael", "Rosa", "Sami", "Sofia", "Tariq",
	"Tea", "Theo", "Uma", "Vera", "Viktor", "Wanda", "Yara", "Yusuf", "Zeno", "Zoe",
}

var lastNames = []string{
	"Abbas", "Adler", "Amato", "Banerjee", "Becker", "Bianchi", "Castro", "Costa", "Diallo", "Dubois", "Eriksen", "Farkas", "Fischer",
	"Garcia", "Gruber", "Haddad", "Hansen", "Horvat", "Ito", "Jansen", "Kaya", "Keller", "Kim", "Kovac", "Lange", "Larsen", "Lopez",
	"Maier", "Mensah", "Moreau", "Nakamura", "Novak", "Okafor", "Olsen", "Patel", "Peeters", "Petrov", "Ricci", "Rossi", "Sato",
	"Schmidt", "Silva", "Singh", "Suzuki", "Tanaka", "Torres", "Varga", "Virtanen", "Wagner", "Weber", "Yilmaz", "Zhang",
}

var cities = []string{
	"Aarhus", "Accra", "Antwerp", "Athens", "Bologna", "Bordeaux", "Brno", "Cork", "Dresden", "Gdansk", "Geneva", "Ghent", "Graz", "Izmir",
	"Kyoto", "Lagos", "Leeds", "Lima", "Lyon", "Malmo", "Nairobi", "Osaka", "Porto", "Quito", "Riga", "Seville", "Split", "Tampere",
	"Trieste", "Turin", "Utrecht", "Valencia", "Vienna", "Zurich",
}

var kinds = []string{"Lamp", "Chair", "Desk", "Shelf", "Stool", "Mirror", "Clock", "Vase", "Kettle", "Blanket"}

var looks = []string{
	"Oak", "Ash", "Walnut", "Linen", "Steel", "Copper", "Glass", "Slate", "Cork", "Wool",
	"White", "Amber", "Olive", "Coral", "Indigo", "Round", "Tall", "Small", "Folding", "Wide",
}

var statuses = []string{"paid", "sent", "sent", "sent", "returned"}

// mailDomains are reserved for examples (RFC 2606), so no letter ever arrives.
var mailDomains = []string{"example.com", "example.net", "example.org"}

// cardPrefixes are of the numbers that payment providers publish for tests.
var cardPrefixes = []string{"424242", "555555", "400005", "222300"}
