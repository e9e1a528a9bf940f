package classify

import (
	_ "embed" // of words.txt
	"strings"
)

// Class names that are proposed. An installation may use others: what a column has
// already is never changed.
const (
	email     = "pii.email"
	person    = "pii.name"
	userName  = "pii.username"
	phone     = "pii.phone"
	address   = "pii.address"
	birth     = "pii.birth_date"
	ssn       = "pii.ssn"
	national  = "pii.national_id"
	tax       = "pii.tax_id"
	passport  = "pii.passport"
	license   = "pii.drivers_license"
	ip        = "pii.ip"
	location  = "pii.location"
	gender    = "pii.gender"
	special   = "pii.special" // GDPR, article 9: religion, origin, opinions
	device    = "pii.device_id"
	vehicle   = "pii.vehicle"
	biometric = "pii.biometric"
	health    = "phi.health"
	insurance = "phi.insurance_id"
	pan       = "pci.pan"
	cvv       = "pci.cvv"
	iban      = "pii.iban"
	account   = "fin.account"
	salary    = "hr.salary"
	password  = "secret.password"
	token     = "secret.token"
	key       = "secret.key"
)

// strength is how much a name says.
type strength int

const (
	weak   strength = iota + 1 // may be it
	plain                      // is it, most of the time
	strong                     // hardly means anything else
)

// word is what a name, or some words of it, stand for.
type word struct {
	class string
	strength
	// people: it says this much in a table (or under a key) about people, or behind a word
	// for people, and is otherwise only weak, or nothing where it is a name.
	people bool
}

//go:embed words.txt
var wordsText string

// dictionary has the names of words.txt.
var dictionary = func() map[string]word {
	all := map[string]word{}
	var w word
	for line := range strings.Lines(wordsText) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] != ' ':
			class, says, _ := strings.Cut(strings.TrimSuffix(line, ":"), " ")
			says, people := strings.CutSuffix(says, "+people")
			w = word{class: class, strength: strengths[says], people: people}
		default:
			for _, name := range strings.Fields(line) {
				all[name] = w
			}
		}
	}
	return all
}()

var strengths = map[string]strength{"weak": weak, "plain": plain, "strong": strong}

// peopleWords say that a table, or what stands behind them, is about people.
var peopleWords = set(`customer client user person people employee staff patient contact member lead applicant candidate student teacher
	doctor physician driver guest passenger tenant resident citizen donor subscriber voter borrower beneficiary holder cardholder owner
	author recipient buyer purchaser shopper payee payer emp cust usr pers hr worker manager attendee participant signer guardian parent
	child spouse relative insured claimant visitor profile crm prospect billing shipping sender
	kunde kunden mitarbeiter person personen benutzer nutzer patient patienten personal ansprechpartner mieter schueler bewerber versicherte mitglied mitglieder
	cliente empleado usuario paciente persona personal contacto alumno socio proveedor titular trabajador
	client employe utilisateur personne salarie eleve adherent
	dipendente utente paziente klant medewerker gebruiker persoon funcionario`)

// behind are words that, behind what a name stands for, say that the column holds
// something else: email_sent_at, card_type, phone_verified.
var behind = set(`type types kind status state count cnt num enabled verified confirmed valid validated sent at on date dt time
	timestamp ts id ids fk uuid ref template templates subject format provider domain brand network issuer scheme length policy version
	required flag opt optin optout subscribed consent preference preferences pref label category source algorithm algo expires
	expiry expired expiration ttl attempts attempt retries tries last lastfour four masked bounced opened clicked delivered queue campaign server host port
	protocol body url link class method model product price amount limit score rating level group order sort index position rank color
	size prefix country extension ext vendor operator usage quota total sum avg present available deleted changed updated created
	reminder notification notifications alert alerts frequency strength rule rules hint typ art anzahl datum gueltig versendet bestaetigt
	tipo estado fecha enviado reader readers batch transit range grade band currency review step month year count scope scopes name`)

// before are words that, in front of it, say the same: is_email_verified, num_cards.
var before = set(`is has can should allow allows send needs need num count total max min use uses show hide enable disable avg sum no`)

// elsewhere are words in front of "address" that make it none of a person's.
var elsewhere = set(`web url site memory contract wallet server host network base bus smtp bind listen callback`)
