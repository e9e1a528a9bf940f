package sqlmeta

func tooHard(text string) bool { return false }
