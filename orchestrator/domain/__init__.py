"""The ground of the program: model, errors, configuration, and every decision about accounts and users. Pure."""
