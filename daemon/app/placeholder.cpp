namespace culld {}
