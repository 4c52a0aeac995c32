"""Report texts: the section that is encoded, its tokens, and a frozen encoder that gives one vector per token."""
