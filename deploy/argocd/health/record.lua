-- Health of a record, as the inventory holds them: that it is there is all that it has to be.
return {status = "Healthy", message = ""}
